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
    /// The fault; several as one [`ErrorKind::Config`] that names them all.
    pub fn refuse<T>(make: impl FnOnce(&mut Self) -> Option<T>) -> Result<T> {
        let mut faults = Self::default();
        let made = make(&mut faults);
        match (made, faults.0.as_slice()) {
            (Some(made), []) => Ok(made),
            (_, [only]) => Err(only.clone()),
            (_, all) => {
                let lines: Vec<&str> = all.iter().map(Error::message).collect();
                Err(Error::new(ErrorKind::Config, lines.join("; ")))
            }
        }
    }

    /// Keeps the fault of a step, and gives its value where there is one.
    pub fn keep<T>(&mut self, step: Result<T>) -> Option<T> {
        step.map_err(|error| self.0.push(error)).ok()
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
