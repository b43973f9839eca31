//! What is wrong with a config file: all of it, in one error.

use polysight_core::{Error, ErrorKind, Result, Violation, redact_name};

use super::expand::Variables;
use super::file::Source;

/// One fault. It holds no value of an environment variable and no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    line: Option<usize>,
    path: String,
    problem: String,
    allowed: String,
}

impl Fault {
    /// A fault of the value at a path such as `providers.zhipu.timeouts.idle`.
    pub(crate) fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { line: None, path: path.into(), problem: problem.into(), allowed: String::new() }
    }

    /// Names the line.
    pub(crate) fn at(mut self, line: Option<usize>) -> Self {
        self.line = line;
        self
    }

    /// Says what is allowed instead.
    pub(crate) fn allowed(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = allowed.into();
        self
    }

    /// Shows no value of a variable.
    pub(crate) fn without_values(mut self, variables: &Variables<'_>) -> Self {
        for text in [&mut self.path, &mut self.problem, &mut self.allowed] {
            *text = variables.hide(text);
        }
        self
    }

    /// The fault on one line.
    pub(crate) fn show(self, source: &Source) -> String {
        self.into_violation(source).to_string()
    }

    fn into_violation(self, source: &Source) -> Violation {
        let mut place = source.name.clone();
        if let Some(line) = self.line {
            place = format!("{place}:{line}");
        }
        if !self.path.is_empty() {
            place = format!("{place}: {}", redact_name(&self.path));
        }
        Violation::new(place, self.problem, self.allowed, "")
    }
}

/// The faults of a file, each once.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    /// Adds a fault, unless it is there already: a setting of `defaults` is read for every role.
    pub(crate) fn push(&mut self, fault: Fault) {
        if !self.0.contains(&fault) {
            self.0.push(fault);
        }
    }

    /// Adds a fault if there is one.
    pub(crate) fn extend(&mut self, fault: Option<Fault>) {
        fault.into_iter().for_each(|fault| self.push(fault));
    }

    /// Shows no value of a variable.
    pub(crate) fn without_values(self, variables: &Variables<'_>) -> Self {
        Self(self.0.into_iter().map(|fault| fault.without_values(variables)).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value if there is no fault, else one error that names them all, in the order of the file.
    pub(crate) fn into_result<T>(mut self, source: &Source, value: T) -> Result<T> {
        if self.0.is_empty() {
            return Ok(value);
        }
        self.0.sort_by_key(|fault| fault.line);
        let message = match self.0.len() {
            1 => format!("{}: 1 fault", source.name),
            count => format!("{}: {count} faults", source.name),
        };
        let violations = self.0.into_iter().map(|fault| fault.into_violation(source)).collect();
        Err(Error::new(ErrorKind::Config, message).with_violations(violations))
    }
}

/// An error of one fault that was found when something was used.
pub(crate) fn one_fault(source: &Source, fault: Fault) -> Error {
    Error::new(ErrorKind::Config, fault.show(source))
}

/// Former and foreign names of keys that are unlike the name in use.
const OTHER_NAMES: [(&str, &str); 19] = [
    ("after_finish", "drain_timeout"),
    ("attempts", "max_attempts"),
    ("endpoint", "base_url"),
    ("factor", "multiplier"),
    ("first_pause", "base_delay"),
    ("max_completion_tokens", "max_tokens"),
    ("max_output_tokens", "max_tokens"),
    ("max_pause", "max_delay"),
    ("move_on", "failover"),
    ("open_for", "open_duration"),
    ("order", "strategy"),
    ("pace", "timeouts"),
    ("quota", "rate_limit"),
    ("quota_store", "rate_limit_store"),
    ("repeat", "max_billed"),
    ("rest_for", "cooldown"),
    ("route", "router"),
    ("stop_sequences", "stop"),
    ("vendor", "backend"),
];

/// Says that a name is unknown, and which known one is nearest.
pub(crate) fn unknown<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let other = OTHER_NAMES.iter().find(|(other, now)| *other == name && known.contains(now));
    let nearest = other.map(|(_, now)| *now).or_else(|| nearest(name, &known));
    let name = redact_name(name);
    match nearest {
        Some(candidate) => format!("unknown {what} `{name}`, did you mean `{candidate}`?"),
        None if known.is_empty() => format!("unknown {what} `{name}`: there is none"),
        None => format!("unknown {what} `{name}`, known: {}", known.join(", ")),
    }
}

/// The known name that is most like this one, if any is like it.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain = |name: &str| name.to_lowercase().replace(['_', '-'], "");
    let wanted = plain(name);
    known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(&wanted, &plain(candidate)), *candidate))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested() {
        let known = ["api_key", "proxy", "rate_limit"];
        assert_eq!(unknown("key", "api_kei", known), "unknown key `api_kei`, did you mean `api_key`?");
        assert_eq!(unknown("key", "zzz", known), "unknown key `zzz`, known: api_key, proxy, rate_limit");
        assert_eq!(unknown("key", "quota", known), "unknown key `quota`, did you mean `rate_limit`?");
        assert_eq!(unknown("role", "a", []), "unknown role `a`: there is none");
    }

    #[test]
    fn all_faults_are_in_one_error_in_the_order_of_the_file() {
        let mut faults = Faults::default();
        for (path, line) in [("b", 7), ("a", 3), ("b", 7)] {
            faults.push(Fault::new(path, "wrong").at(Some(line)).allowed("right"));
        }
        let error = faults.into_result(&Source::text(), ()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "configuration: config: 2 faults: config:3: a: wrong (allowed: right); config:7: b: wrong (allowed: right)"
        );
    }
}
