//! Every fault of a configuration at once.

use polysight_core::{Error, ErrorKind, Result};

/// Collects what is wrong with a provider's options and settings, so that one look shows all of it.
#[derive(Debug, Default)]
pub struct Faults(Vec<Error>);

impl Faults {
    /// The faults that `make` meets; none when the configuration is good.
    #[must_use]
    pub fn find<T>(make: impl FnOnce(&mut Self) -> Option<T>) -> Vec<Error> {
        let mut faults = Self::default();
        let _ = make(&mut faults);
        faults.0
    }

    /// What `make` gives when it meets no fault.
    ///
    /// # Errors
    /// As [`into_result`](Self::into_result).
    pub fn refuse<T>(make: impl FnOnce(&mut Self) -> Option<T>) -> Result<T> {
        let mut faults = Self::default();
        let made = make(&mut faults);
        faults.into_result()?;
        made.ok_or_else(|| Error::new(ErrorKind::Config, "the configuration is not complete"))
    }

    /// Nothing, where there is no fault.
    ///
    /// # Errors
    /// The fault; several as one [`ErrorKind::Config`] that names them all.
    pub fn into_result(self) -> Result<()> {
        match self.0.as_slice() {
            [] => Ok(()),
            [only] => Err(only.clone()),
            all => {
                let messages: Vec<&str> = all.iter().map(Error::message).collect();
                let error = Error::new(ErrorKind::Config, messages.join("; "));
                let provider = all.iter().find_map(Error::provider);
                Err(match provider {
                    Some(name) => error.with_provider(name),
                    None => error,
                })
            }
        }
    }

    /// Adds a fault.
    pub fn add(&mut self, fault: Error) {
        self.0.push(fault);
    }

    /// Keeps the fault of a step, and gives its value where there is one.
    pub fn keep<T>(&mut self, step: Result<T>) -> Option<T> {
        step.map_err(|error| self.add(error)).ok()
    }
}

impl From<Vec<Error>> for Faults {
    fn from(faults: Vec<Error>) -> Self {
        Self(faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(message: &str) -> Result<u8> {
        Err(Error::new(ErrorKind::Config, message))
    }

    #[test]
    fn one_look_shows_every_fault() {
        assert_eq!(Faults::refuse(|faults| faults.keep(Ok(7))).unwrap(), 7);
        let two = |faults: &mut Faults| {
            let (one, two) = (faults.keep(config("one")), faults.keep(config("two")));
            one.zip(two)
        };
        assert_eq!(Faults::refuse(two).unwrap_err().message(), "one; two");
        assert_eq!(Faults::find(two).len(), 2);
        // A fault that leaves a value is one all the same.
        let kept = |faults: &mut Faults| faults.keep(config("bad")).or(Some(1));
        assert_eq!(Faults::refuse(kept).unwrap_err().message(), "bad");
    }
}
