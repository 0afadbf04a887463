//! Of the properties of `-X` those that Kafka has in its file and the broker takes elsewhere: who it is, and where its logs are.
//! Nothing here does I/O.

use std::path::PathBuf;

/// What the properties say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Properties {
    /// `node.id`, or `broker.id`.
    pub(super) node_id: Option<i32>,
    /// `log.dirs`, or `log.dir`.
    pub(super) data_dir: Option<PathBuf>,
    /// The broker's settings.
    pub(super) settings: Vec<(String, String)>,
}

impl Properties {
    /// Sorts the properties of the command line; of a key that comes twice the last value counts.
    ///
    /// # Errors
    /// What contradicts itself, or cannot be done.
    pub(super) fn of(given: Vec<(String, String)>) -> Result<Self, String> {
        let mut settings = given;
        let mut last = |wanted: &str| {
            let value = settings.iter().rev().find(|(key, _)| key == wanted);
            let value = value.map(|(_, value)| value.trim().to_owned());
            settings.retain(|(key, _)| key != wanted);
            value
        };
        let (node, broker) = (last("node.id"), last("broker.id"));
        let (dirs, dir) = (last("log.dirs"), last("log.dir"));
        let id = |key: &str, value: Option<String>| match value.as_deref().map(str::parse::<i32>) {
            None => Ok(None),
            Some(Ok(id @ 0..)) => Ok(Some(id)),
            Some(_) => Err(format!("{key}: expected a number from 0 on")),
        };
        let (node, broker) = (id("node.id", node)?, id("broker.id", broker)?);
        // Kafka: AbstractKafkaConfig.populateSynonyms, KafkaConfig.validateValues
        if let (Some(node), Some(broker)) = (node, broker)
            && node != broker
        {
            return Err("node.id and broker.id are one setting, and have two values".to_owned());
        }
        Ok(Self {
            node_id: node.or(broker),
            data_dir: directory(dirs.or(dir))?,
            settings,
        })
    }
}

// Kafka: AbstractKafkaConfig.logDirs: log.dirs before log.dir
fn directory(listed: Option<String>) -> Result<Option<PathBuf>, String> {
    let Some(listed) = listed else { return Ok(None) };
    let mut directories = listed
        .split(',')
        .map(str::trim)
        .filter(|directory| !directory.is_empty());
    match (directories.next(), directories.next()) {
        (Some(directory), None) => Ok(Some(directory.into())),
        (None, _) => Err("log.dirs: expected a directory".to_owned()),
        (Some(_), Some(_)) => Err(format!(
            "log.dirs={listed}: this broker keeps everything in one directory; name one"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(given: &[(&str, &str)]) -> Result<Properties, String> {
        let given = given.iter();
        Properties::of(
            given
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn settings_of_the_broker_stay_in_order() {
        let properties = of(&[("b", "1"), ("node.id", " 3 "), ("a", "2"), ("b", "4")]).unwrap();
        assert_eq!(properties.node_id, Some(3));
        let settings = [("b", "1"), ("a", "2"), ("b", "4")];
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(properties.settings, settings);
    }

    #[test]
    fn the_last_of_two_values_counts() {
        assert_eq!(
            of(&[("node.id", "1"), ("node.id", "2")]).unwrap().node_id,
            Some(2)
        );
    }

    #[test]
    fn a_node_has_one_id_under_either_name() {
        assert_eq!(of(&[("broker.id", "7")]).unwrap().node_id, Some(7));
        assert_eq!(
            of(&[("broker.id", "7"), ("node.id", "7")]).unwrap().node_id,
            Some(7)
        );
        assert!(of(&[("broker.id", "7"), ("node.id", "8")]).is_err());
        for id in ["-1", "a", "", "2147483648"] {
            assert!(
                of(&[("node.id", id)]).is_err_and(|why| why.contains("node.id")),
                "{id}"
            );
        }
    }

    #[test]
    fn log_dirs_comes_before_log_dir() {
        let dir = |given: &[(&str, &str)]| of(given).map(|properties| properties.data_dir);
        assert_eq!(dir(&[]), Ok(None));
        assert_eq!(dir(&[("log.dir", "/a")]), Ok(Some("/a".into())));
        for given in [
            [("log.dir", "/a"), ("log.dirs", "/b")],
            [("log.dirs", "/b"), ("log.dir", "/a")],
        ] {
            assert_eq!(dir(&given), Ok(Some("/b".into())));
        }
    }

    #[test]
    fn several_directories_are_refused() {
        assert_eq!(of(&[("log.dirs", "/a, ")]).unwrap().data_dir, Some("/a".into()));
        assert!(of(&[("log.dirs", "/a,/b")]).is_err_and(|why| why.contains("/a,/b")));
        assert!(of(&[("log.dirs", " , ")]).is_err());
    }
}
