//! A policy within a policy, as a config file gives it: `true` for its defaults, `false` for none, or its settings.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

pub(crate) fn deserialize<'de, D, P>(deserializer: D) -> Result<Option<P>, D::Error>
where
    D: Deserializer<'de>,
    P: Deserialize<'de> + Default,
{
    deserializer.deserialize_any(Switch(PhantomData))
}

struct Switch<P>(PhantomData<P>);

impl<'de, P: Deserialize<'de> + Default> Visitor<'de> for Switch<P> {
    type Value = Option<P>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false or a table of settings")
    }

    fn visit_bool<E: Error>(self, on: bool) -> Result<Self::Value, E> {
        Ok(on.then(P::default))
    }

    fn visit_map<A: MapAccess<'de>>(self, settings: A) -> Result<Self::Value, A::Error> {
        P::deserialize(MapAccessDeserializer::new(settings)).map(Some)
    }
}
