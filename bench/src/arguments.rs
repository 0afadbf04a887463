//! The command line.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use kohort::Consumer;
use kohort::consumer::BuildError;

/// What is read, and how.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) topic: String,
    /// Records to be read.
    pub(crate) records: u64,
    pub(crate) mode: Mode,
    pub(crate) api: Api,
    pub(crate) is_single_threaded: bool,
    servers: String,
    group: Option<String>,
    properties: Vec<(String, String)>,
}

/// How the topic is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// All partitions, without a group.
    Assign,
    /// In a new group that is left by dying.
    Group,
    /// In a new group that is left at the end.
    Join,
    /// In a given group, until SIGTERM.
    Member,
}

/// Which of the consumer's two faces is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    /// `poll_raw`: records that borrow key and value from the batches of one poll.
    Raw,
    /// `poll`: owned records whose key and value share the batches' bytes.
    Typed,
}

const USAGE: &str = "usage: consume TOPIC N MODE(assign|group|join|member) [property=value ...]";

impl Arguments {
    pub(crate) fn parse(
        mut words: impl Iterator<Item = String>,
        servers: Option<String>,
    ) -> Result<Self, String> {
        let mut word = || words.next().ok_or(USAGE);
        let topic = word()?;
        let records = word()?;
        let mode = word()?;
        let mut arguments = Self {
            topic,
            records: records
                .parse()
                .map_err(|_| format!("N is a number of records, not `{records}`"))?,
            mode: match &*mode {
                "assign" => Mode::Assign,
                "group" => Mode::Group,
                "join" => Mode::Join,
                "member" => Mode::Member,
                other => return Err(format!("no mode is called `{other}`; {USAGE}")),
            },
            api: Api::Raw,
            is_single_threaded: false,
            servers: servers.unwrap_or_else(|| "127.0.0.1:39092".to_owned()),
            group: None,
            properties: Vec::new(),
        };
        for property in words {
            let (key, value) = property
                .split_once('=')
                .ok_or_else(|| format!("`{property}` is no property=value"))?;
            match (key, value) {
                ("GROUP", group) => arguments.group = Some(group.to_owned()),
                ("api", "raw") => arguments.api = Api::Raw,
                ("api", "typed") => arguments.api = Api::Typed,
                ("runtime", "current") => arguments.is_single_threaded = true,
                ("api" | "runtime", other) => return Err(format!("`{key}` cannot be `{other}`")),
                (key, value) => arguments.properties.push((key.to_owned(), value.to_owned())),
            }
        }
        if mode == "member" && arguments.group.is_none() {
            return Err("a member needs GROUP=name".to_owned());
        }
        Ok(arguments)
    }

    /// The consumer that the arguments ask for. Keys and values may be null, and are not copied.
    pub(crate) fn consumer(&self) -> Result<Consumer<Option<Bytes>, Option<Bytes>>, BuildError> {
        let mut builder = Consumer::builder()
            .set("bootstrap.servers", &self.servers)
            .set("auto.offset.reset", "earliest");
        builder = match self.mode {
            Mode::Assign => builder.set("enable.auto.commit", "false"),
            Mode::Group | Mode::Join | Mode::Member => {
                builder.set("group.id", &self.group.clone().unwrap_or_else(new_group))
            }
        };
        for (key, value) in &self.properties {
            builder = builder.set(key, value);
        }
        builder.build()
    }
}

/// The name of a group that nobody had before.
fn new_group() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("kohort-{}", since.as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(line.split(' ').map(str::to_owned), None)
    }

    #[test]
    fn properties_are_kafkas_but_for_three() {
        let arguments =
            parse("t 5 group max.poll.records=7 api=typed runtime=current GROUP=g").expect("well formed");
        assert_eq!(
            (&*arguments.topic, arguments.records, arguments.mode),
            ("t", 5, Mode::Group)
        );
        assert_eq!(
            arguments.properties,
            [("max.poll.records".to_owned(), "7".to_owned())]
        );
        assert_eq!((arguments.api, arguments.is_single_threaded), (Api::Typed, true));
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        for line in [
            "t",
            "t x assign",
            "t 1 read",
            "t 1 assign max.poll.records",
            "t 1 member",
            "t 1 assign api=x",
        ] {
            parse(line).expect_err(line);
        }
    }
}
