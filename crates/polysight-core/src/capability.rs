//! What a model can do: yes, no, or unknown.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Whether a model can do something, and within which limits.
///
/// In a catalogue: left out is [`Unknown`](Self::Unknown), `false` is [`No`](Self::No), `true` is [`Yes`](Self::Yes)
/// without limits, and a table is [`Yes`](Self::Yes) with those limits. What is unknown is let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Capability<T> {
    /// The catalogue does not say.
    #[default]
    Unknown,
    /// The model cannot do it.
    No,
    /// The model can do it, within these limits.
    Yes(T),
}

impl<T> Capability<T> {
    /// The limits, when the model is known to be able.
    #[must_use]
    pub fn limits(&self) -> Option<&T> {
        match self {
            Self::Yes(limits) => Some(limits),
            Self::Unknown | Self::No => None,
        }
    }

    /// True when the model is known to be unable.
    #[must_use]
    pub fn is_no(&self) -> bool {
        matches!(self, Self::No)
    }

    /// True when the model is known to be able.
    #[must_use]
    pub fn is_yes(&self) -> bool {
        matches!(self, Self::Yes(_))
    }
}

impl<'de, T: DeserializeOwned + Default> Deserialize<'de> for Capability<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = toml::Value::deserialize(deserializer)?;
        match value {
            toml::Value::Boolean(true) => Ok(Self::Yes(T::default())),
            toml::Value::Boolean(false) => Ok(Self::No),
            table => T::deserialize(table).map(Self::Yes).map_err(D::Error::custom),
        }
    }
}

impl<T: Serialize> Serialize for Capability<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unknown => serializer.serialize_none(),
            Self::No => serializer.serialize_bool(false),
            Self::Yes(limits) => limits.serialize(serializer),
        }
    }
}
