//! How durations are written in the configuration: `250ms`, `15s`, `10m`, or a bare number of seconds. And points
//! in time where they outlive the process.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// Longest duration accepted: a year, so that a deadline never overflows the clock.
pub const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// The JSON Schema `format` of the text of a duration other than zero.
pub(crate) const FORMAT: &str = "positive-duration";
/// The JSON Schema `format` of the text of a duration.
pub(crate) const FORMAT_OR_ZERO: &str = "duration-or-zero";
/// The JSON Schema `format` of an IP address and a port.
pub(crate) const ADDRESS_FORMAT: &str = "socket-address";

/// Reads a duration such as `250ms` or `1h 30m`; `None` when malformed or longer than [`LONGEST`].
pub fn parse_duration(text: &str) -> Option<Duration> {
    let duration = humantime::parse_duration(text).ok()?;
    (duration <= LONGEST).then_some(duration)
}

/// Reads a number of seconds; `None` when negative, not finite or longer than [`LONGEST`].
pub fn from_seconds(seconds: f64) -> Option<Duration> {
    let duration = Duration::try_from_secs_f64(seconds).ok()?;
    (duration <= LONGEST).then_some(duration)
}

/// Now, in seconds since 1970.
pub(crate) fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// For `#[serde(with = "units::duration")]`.
pub mod duration {
    use std::fmt;
    use std::time::Duration;

    use serde::de::{self, Deserializer, Visitor};
    use serde::ser::Serializer;

    /// Writes the shortest exact text: `250ms`, `1m 30s`.
    ///
    /// # Errors
    /// The serializer's own.
    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*value))
    }

    /// Reads text such as `250ms`, or a number of seconds.
    ///
    /// # Errors
    /// Anything else, and durations longer than [`super::LONGEST`].
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        deserializer.deserialize_any(DurationVisitor)
    }

    struct DurationVisitor;

    impl Visitor<'_> for DurationVisitor {
        type Value = Duration;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a duration such as `250ms` or `15s`, at most a year")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
            super::parse_duration(text).ok_or_else(|| E::invalid_value(de::Unexpected::Other("text"), &self))
        }

        fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Duration, E> {
            self.visit_f64(seconds as f64)
        }

        fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Duration, E> {
            self.visit_f64(seconds as f64)
        }

        fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Duration, E> {
            super::from_seconds(seconds)
                .ok_or_else(|| E::invalid_value(de::Unexpected::Float(seconds), &self))
        }
    }
}

/// For `#[serde(with = "units::optional_duration")]`: `null` is none.
pub mod optional_duration {
    use std::time::Duration;

    use serde::de::{Deserialize, Deserializer};
    use serde::ser::{Serialize, Serializer};

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Wrapped(#[serde(with = "super::duration")] Duration);

    /// As [`super::duration::serialize`].
    ///
    /// # Errors
    /// The serializer's own.
    pub fn serialize<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(Wrapped).serialize(serializer)
    }

    /// As [`super::duration::deserialize`].
    ///
    /// # Errors
    /// As there.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<Wrapped>::deserialize(deserializer)?.map(|wrapped| wrapped.0))
    }
}

/// Stands for a duration other than zero in JSON Schemas: `#[schemars(with = "units::DurationText")]`.
#[derive(Debug)]
pub struct DurationText;

/// Stands for a duration that may be zero in JSON Schemas.
#[derive(Debug)]
pub struct DurationOrZeroText;

impl JsonSchema for DurationText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = duration_schema(FORMAT);
        schema.insert("exclusiveMinimum".to_owned(), 0.into());
        schema
    }
}

impl JsonSchema for DurationOrZeroText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "DurationOrZero".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = duration_schema(FORMAT_OR_ZERO);
        schema.insert("minimum".to_owned(), 0.into());
        schema
    }
}

fn duration_schema(format: &str) -> Schema {
    json_schema!({
        "type": ["string", "number"],
        "format": format,
        // A reference is replaced before the format is checked; editors see it as it is written.
        "pattern": r"^(\s*([0-9]+ ?(ms|s|sec|m|min|h|d)\s*)+|.*\$\{.+\}.*)$",
        "maximum": LONGEST.as_secs(),
        "examples": ["250ms", "15s", "10m"],
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    struct Wait(#[serde(with = "duration")] Duration);

    fn read(json: &str) -> Result<Duration, String> {
        serde_json::from_str::<Wait>(json).map(|wait| wait.0).map_err(|error| error.to_string())
    }

    #[test]
    fn durations_are_read_from_text_and_from_numbers_of_seconds() {
        assert_eq!(read(r#""250ms""#), Ok(Duration::from_millis(250)));
        assert_eq!(read(r#""1h 30m""#), Ok(Duration::from_secs(5400)));
        assert_eq!(read("15"), Ok(Duration::from_secs(15)));
        assert_eq!(read("0.25"), Ok(Duration::from_millis(250)));
    }

    #[test]
    fn durations_that_cannot_be_a_deadline_are_refused_without_a_panic() {
        for json in [r#""5 parsecs""#, r#""""#, "-1", "1e300", r#""99999999d""#] {
            assert!(read(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_written_duration_reads_back_as_itself() {
        for millis in [1, 250, 60_000, 5_400_000] {
            let wait = Wait(Duration::from_millis(millis));
            let json = serde_json::to_string(&wait).unwrap();
            assert_eq!(read(&json), Ok(wait.0), "{json}");
        }
    }
}
