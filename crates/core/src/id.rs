//! Identifiers, each its own type so that one can never stand where another is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// Says why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a UUID")]
pub struct ParseIdError {
    /// What was read, shortened to 60 characters so that an error cannot be made huge.
    text: String,
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(Uuid);

        impl $name {
            /// The all-zero id.
            pub const NIL: Self = Self(Uuid::nil());

            /// Makes an id of its 16 bytes, in the order in which the text shows them.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// Makes a version 4 (random) id of 16 random bytes that the caller rolled.
            pub fn from_random_bytes(bytes: [u8; 16]) -> Self {
                Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
            }

            /// The 16 bytes, in the order in which the text shows them.
            pub const fn to_bytes(self) -> [u8; 16] {
                *self.0.as_bytes()
            }

            /// The 32 hexadecimal digits without dashes (object-store names).
            pub fn to_simple(self) -> String {
                self.0.as_simple().to_string()
            }

            /// True for the all-zero id.
            pub fn is_nil(self) -> bool {
                self.0.is_nil()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self.0.as_hyphenated(), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self.0.as_hyphenated(), f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            /// Reads dashed or plain hexadecimal digits in either case.
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                Uuid::try_parse(text)
                    .map(Self)
                    .map_err(|_| ParseIdError { text: text.chars().take(60).collect() })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut buffer = Uuid::encode_buffer();
                serializer.serialize_str(self.0.as_hyphenated().encode_lower(&mut buffer))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Reader;
                impl serde::de::Visitor<'_> for Reader {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a UUID")
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Reader)
            }
        }
    };
}

id_type! {
    /// Names one task for its whole life, on every replica. Made by whoever creates the task.
    TaskId
}
id_type! {
    /// Names one version of a task history: made by the server that accepts it, never reused.
    /// [`VersionId::NIL`] names the empty history before the first version.
    VersionId
}
id_type! {
    /// Names one task history at a server, and is the only credential that the TaskChampion
    /// protocol has (section 7): treat it as one, never log it whole.
    ClientId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_spelling_and_writes_one() {
        let dashed = "56e0be07-c61f-494c-a54c-bdcfdd52d2a7";
        for text in
            [dashed, "56E0BE07-C61F-494C-A54C-BDCFDD52D2A7", "56e0be07c61f494ca54cbdcfdd52d2a7"]
        {
            assert_eq!(text.parse::<TaskId>().unwrap().to_string(), dashed);
        }
        assert!("56e0be07".parse::<TaskId>().is_err());
        assert_eq!(
            serde_json::to_string(&TaskId::NIL).unwrap(),
            format!("{:?}", TaskId::NIL.to_string())
        );
    }

    #[test]
    fn random_ids_carry_the_version_and_variant_bits() {
        let id = VersionId::from_random_bytes([0xff; 16]);
        assert_eq!(id.to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
