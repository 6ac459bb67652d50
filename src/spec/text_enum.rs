//! Enums that are written as fixed words.

/// Declares an enum with one word a variant, `as_str`, `Display`, and serde by word.
/// Any other word is an error.
macro_rules! text_enum {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$variant_meta])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// The word in the API.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)+
                }
            }
        }

        // The API has any text here: controllers of other versions may write other words.
        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                String::json_schema(generator)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

/// Adds the empty value Go has for strings: the `Unset` variant is the default.
macro_rules! unset_by_default {
    ($name:ident) => {
        impl Default for $name {
            fn default() -> Self {
                $name::Unset
            }
        }

        impl $name {
            /// Whether nothing has been reported yet.
            pub fn is_unset(&self) -> bool {
                *self == $name::Unset
            }
        }
    };
}

pub(crate) use {text_enum, unset_by_default};
