//! A secret of several fields, as JSON backends give it.

use std::collections::BTreeMap;
use std::fmt;

use locket_provider::{Error, ErrorKind, SecretValue, printable};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroizing;

/// Field name → bytes. A string is its text, everything else its JSON; `null` is no value.
pub(crate) struct Fields(BTreeMap<String, Option<Zeroizing<String>>>);

impl Fields {
    /// Reads a JSON object; `what` names it in errors.
    pub(crate) fn from_json(json: &[u8], what: &str) -> Result<Self, Error> {
        // The parser's message may quote what it read.
        serde_json::from_slice(json)
            .map_err(|_| Error::new(ErrorKind::Invalid, format!("{what} is not a JSON object")))
    }

    /// The value of one field.
    pub(crate) fn get(&self, field: &str, what: &str) -> Result<SecretValue, Error> {
        match self.0.get(field) {
            Some(Some(text)) => Ok(SecretValue::new(text.as_bytes().to_vec())),
            Some(None) => Err(Error::new(
                ErrorKind::NotFound,
                format!("field {field} of {what} is null"),
            )),
            None => Err(
                Error::new(ErrorKind::NotFound, format!("{what} has no field {field}"))
                    .help(self.names()),
            ),
        }
    }

    /// Every name.
    #[cfg(test)]
    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// `it has the fields a, b`: names are not secret, values are.
    pub(crate) fn names(&self) -> String {
        let names: Vec<_> = self.0.keys().map(|n| printable(n)).collect();
        if names.is_empty() {
            "it has no fields".to_owned()
        } else {
            format!("it has the fields {}", names.join(", "))
        }
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let map = BTreeMap::<String, Field>::deserialize(d)?;
        Ok(Self(
            map.into_iter()
                .map(|(name, field)| (name, field.0))
                .collect(),
        ))
    }
}

/// Strings are copied once, into memory that is zeroed. Numbers, lists and objects keep their JSON form.
struct Field(Option<Zeroizing<String>>);

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Any;
        fn json<E>(value: impl Into<serde_json::Value>) -> Result<Field, E> {
            Ok(Field(Some(Zeroizing::new(value.into().to_string()))))
        }
        impl<'de> Visitor<'de> for Any {
            type Value = Field;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a JSON value")
            }
            fn visit_str<E>(self, text: &str) -> Result<Field, E> {
                Ok(Field(Some(Zeroizing::new(text.to_owned()))))
            }
            fn visit_unit<E>(self) -> Result<Field, E> {
                Ok(Field(None))
            }
            fn visit_bool<E>(self, it: bool) -> Result<Field, E> {
                json(it)
            }
            fn visit_u64<E>(self, it: u64) -> Result<Field, E> {
                json(it)
            }
            fn visit_i64<E>(self, it: i64) -> Result<Field, E> {
                json(it)
            }
            fn visit_f64<E>(self, it: f64) -> Result<Field, E> {
                json(it)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, it: A) -> Result<Field, A::Error> {
                json(serde_json::Value::deserialize(SeqAccessDeserializer::new(
                    it,
                ))?)
            }
            fn visit_map<A: MapAccess<'de>>(self, it: A) -> Result<Field, A::Error> {
                json(serde_json::Value::deserialize(MapAccessDeserializer::new(
                    it,
                ))?)
            }
        }
        d.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_its_text_and_all_else_its_json() {
        let json = r#"{"s":"a\"\u0000b","empty":"","n":5432,"neg":-1,"f":1.5,"b":true,"l":[1,"x"],"o":{"k":null},"z":null}"#;
        let fields = Fields::from_json(json.as_bytes(), "it").unwrap();
        for (field, value) in [
            ("s", "a\"\0b"),
            ("empty", ""),
            ("n", "5432"),
            ("neg", "-1"),
            ("f", "1.5"),
            ("b", "true"),
            ("l", r#"[1,"x"]"#),
            ("o", r#"{"k":null}"#),
        ] {
            assert_eq!(
                fields.get(field, "it").ok().unwrap().expose(),
                value.as_bytes(),
                "{field}"
            );
        }
        assert_eq!(
            fields.get("z", "it").err().unwrap().kind,
            ErrorKind::NotFound
        );
        let e = fields.get("x", "it").err().unwrap();
        assert_eq!(
            (e.kind, e.help.as_deref()),
            (
                ErrorKind::NotFound,
                Some("it has the fields b, empty, f, l, n, neg, o, s, z")
            )
        );
        assert_eq!(
            Fields::from_json(b"[\"canary\"]", "it")
                .err()
                .unwrap()
                .message,
            "it is not a JSON object"
        );
    }
}
