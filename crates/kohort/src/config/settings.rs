//! The table idiom of the configurations: one row per setting makes its typed field, its builder method, its default, its
//! parser and its check. The rows live in `consumer`, `producer` and `admin`.

use std::collections::BTreeMap;

use super::refused::Refused;
use super::{ConfigError, nearest, properties};

/// What the rows of a configuration give.
pub(crate) trait Settings: Default {
    /// The keys that are acted on.
    const KEYS: &'static [&'static str];
    /// The keys that Kafka's client of this kind has and that are not acted on.
    const REFUSED: &'static [&'static [Refused]];
    /// Sets `key` from its text; the key as the table spells it, or `None` when the table lacks it.
    fn apply(&mut self, key: &str, text: &str) -> Result<Option<&'static str>, ConfigError>;
    /// Checks each value against Kafka's range.
    fn check_ranges(&self) -> Result<(), ConfigError>;
    /// Checks the settings against each other; fills those that follow from others.
    fn check_together(&mut self, draft: &Explicit) -> Result<(), ConfigError>;
}

/// Which settings were given rather than left at their default, and the first mistake among them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Explicit {
    given: Vec<&'static str>,
    classes: BTreeMap<&'static str, String>,
    mistake: Option<ConfigError>,
}

impl Explicit {
    pub(crate) fn has(&self, key: &str) -> bool {
        self.given.contains(&key)
    }

    pub(crate) fn note(&mut self, key: &'static str) {
        if !self.has(key) {
            self.given.push(key);
        }
    }

    pub(crate) fn fail(&mut self, error: ConfigError) {
        self.mistake.get_or_insert(error);
    }

    /// The Java class given for a `*.deserializer` or `*.serializer` key.
    pub(crate) fn class(&self, key: &str) -> Option<&str> {
        self.classes.get(key).map(String::as_str)
    }

    pub(crate) fn mistake(&self) -> Result<(), ConfigError> {
        self.mistake.clone().map_or(Ok(()), Err)
    }
}

/// A configuration in the making.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Draft<C> {
    pub(crate) config: C,
    pub(crate) explicit: Explicit,
}

const CLASSES: [&str; 4] = [
    "key.deserializer",
    "value.deserializer",
    "key.serializer",
    "value.serializer",
];

impl<C: Settings> Draft<C> {
    pub(crate) fn from_properties(text: &str) -> Result<Self, ConfigError> {
        let mut draft = Self::default();
        for (key, value) in properties::parse(text)? {
            draft.try_set(&key, &value)?;
        }
        Ok(draft)
    }

    pub(crate) fn set(&mut self, key: &str, text: &str) {
        if let Err(error) = self.try_set(key, text) {
            self.explicit.fail(error);
        }
    }

    pub(crate) fn try_set(&mut self, key: &str, text: &str) -> Result<(), ConfigError> {
        if let Some(key) = self.config.apply(key, text)? {
            self.explicit.note(key);
            return Ok(());
        }
        let refused = || C::REFUSED.iter().copied().flatten();
        if let Some(refused) = refused().find(|r| r.key == key) {
            if let Some(class) = CLASSES.iter().find(|class| **class == key) {
                self.explicit.classes.insert(class, text.trim().to_owned());
                return Ok(());
            }
            return refused.check(text);
        }
        let known = C::KEYS.iter().copied().chain(refused().map(|r| r.key));
        Err(ConfigError::UnknownKey {
            key: key.to_owned(),
            nearest: nearest::nearest(key, known).to_owned(),
        })
    }

    /// The checked configuration.
    pub(crate) fn finish(self) -> Result<(C, Explicit), ConfigError> {
        let Self { mut config, explicit } = self;
        explicit.mistake()?;
        config.check_ranges()?;
        config.check_together(&explicit)?;
        Ok((config, explicit))
    }
}

/// `"key" => field(argument of the builder's method): type = default, check;`
macro_rules! settings {
    (
        $(#[$meta:meta])* $config:ident, $builder:ident<$($param:ident),*>, refused $refused:expr, together $together:path;
        $( $(#[$doc:meta])* $key:literal => $field:ident($arg:ty): $ty:ty = $default:expr, $check:expr; )*
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub struct $config { $( #[doc = concat!("`", $key, "`: ")] $(#[$doc])* pub $field: $ty, )* }

        impl Default for $config {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }

        impl $crate::config::settings::Settings for $config {
            const KEYS: &'static [&'static str] = &[$($key),*];
            const REFUSED: &'static [&'static [$crate::config::refused::Refused]] = $refused;

            fn apply(&mut self, key: &str, text: &str) -> Result<Option<&'static str>, $crate::config::ConfigError> {
                match key {
                    $( $key => {
                        self.$field = <$ty as $crate::config::value::Value>::parse($key, text)?;
                        Ok(Some($key))
                    } )*
                    _ => Ok(None),
                }
            }

            fn check_ranges(&self) -> Result<(), $crate::config::ConfigError> {
                $( $check($key, &self.$field)?; )*
                Ok(())
            }

            fn check_together(
                &mut self,
                explicit: &$crate::config::settings::Explicit,
            ) -> Result<(), $crate::config::ConfigError> {
                $together(self, explicit)
            }
        }

        impl $config {
            /// Reads the text of a Java `.properties` file and checks it, ranges and contradictions included.
            ///
            /// # Errors
            /// The first mistake: syntax, unknown key, value, missing or contradicting settings.
            pub fn from_properties(text: &str) -> Result<Self, $crate::config::ConfigError> {
                let draft = $crate::config::settings::Draft::<Self>::from_properties(text)?;
                draft.finish().map(|(config, _)| config)
            }
        }

        impl<$($param),*> $crate::$builder<$($param),*> {
            $(
                #[doc = concat!("`", $key, "`: ")]
                $(#[$doc])*
                pub fn $field(mut self, value: impl Into<$arg>) -> Self {
                    self.draft.config.$field = <$ty>::from(value.into());
                    self.draft.explicit.note($key);
                    self
                }
            )*

            /// Sets a property by Kafka's key and text. A mistake is kept and returned by `build`.
            pub fn set(mut self, key: &str, value: &str) -> Self {
                self.draft.set(key, value);
                self
            }
        }
    };
}
pub(crate) use settings;
