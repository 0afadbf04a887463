//! Where the offsets of a group are to go: what is typed after `--to`, and files of offsets. Nothing here does I/O.

use std::collections::BTreeMap;
use std::str::FromStr;

use kohort::TopicPartition;

use crate::time;

/// The argument of `--to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// The first record that is there.
    Earliest,
    /// After the last record.
    Latest,
    /// What is committed: changes nothing, and shows or exports it.
    Current,
    /// This offset.
    At(i64),
    /// The first record whose timestamp is this or later, ms since 1970.
    Since(i64),
    /// The first record that is at most so many ms old.
    Ago(i64),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "earliest" | "beginning" => return Ok(Self::Earliest),
            "latest" | "end" => return Ok(Self::Latest),
            "current" => return Ok(Self::Current),
            _ => {}
        }
        if let Ok(offset) = text.parse::<i64>() {
            return match offset {
                0.. => Ok(Self::At(offset)),
                _ => Err(
                    "offsets begin at 0; to move relative to what is committed, use --shift-by".to_owned(),
                ),
            };
        }
        time::parse(text)
            .map(Self::Since)
            .or_else(|| time::parse_duration(text).map(Self::Ago))
            .ok_or_else(|| {
                "expected earliest, latest, current, an offset, a time such as 2026-11-24T21:00:00Z, or a duration such as `2h ago` or PT2H"
                    .to_owned()
            })
    }
}

/// A topic of the command line, all of it or some of its partitions: `orders` or `orders:0,2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicScope {
    /// The topic.
    pub(crate) topic: String,
    /// Its partitions; none named: all.
    pub(crate) partitions: Vec<i32>,
}

impl TopicScope {
    /// Whether the partition is one of these.
    pub(crate) fn contains(&self, partition: &TopicPartition) -> bool {
        *partition.topic == *self.topic
            && (self.partitions.is_empty() || self.partitions.contains(&partition.partition))
    }
}

impl FromStr for TopicScope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // No topic has a colon in its name.
        let (topic, list) = match text.split_once(':') {
            Some((topic, list)) => (topic, Some(list)),
            None => (text, None),
        };
        let number = |number: &str| number.parse().ok().filter(|number| *number >= 0);
        let partitions: Option<Vec<i32>> = match list {
            Some(list) => list.split(',').map(number).collect(),
            None => Some(Vec::new()),
        };
        match partitions {
            Some(partitions) if !topic.is_empty() => Ok(Self {
                topic: topic.to_owned(),
                partitions,
            }),
            _ => Err("expected TOPIC or TOPIC:0,2".to_owned()),
        }
    }
}

/// The offsets of a file as Kafka's tool exports them: lines `topic,partition,offset`, or, where they are of a group,
/// `group,topic,partition,offset` of which those of `group` count. Names may be quoted.
///
/// # Errors
/// The first line that is neither, by its number.
// Kafka: ConsumerGroupCommand.parseOffsetsToReset
pub(crate) fn offsets_of_file(
    text: &str,
    group: Option<&str>,
) -> Result<BTreeMap<TopicPartition, i64>, String> {
    let mut offsets = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let fields: Vec<&str> = line
            .split(',')
            .map(|field| field.trim().trim_matches('"'))
            .collect();
        let (of, topic, partition, offset) = match fields[..] {
            [topic, partition, offset] => (group, topic, partition, offset),
            [of, topic, partition, offset] if group.is_some() => (Some(of), topic, partition, offset),
            _ => return Err(wrong(index, group)),
        };
        match (partition.parse::<i32>(), offset.parse::<i64>()) {
            (Ok(partition @ 0..), Ok(offset @ 0..)) if !topic.is_empty() => {
                if of == group {
                    offsets.insert(TopicPartition::new(topic, partition), offset);
                }
            }
            _ => return Err(wrong(index, group)),
        }
    }
    Ok(offsets)
}

fn wrong(index: usize, group: Option<&str>) -> String {
    let or_of_a_group = match group {
        Some(_) => " or group,topic,partition,offset",
        None => "",
    };
    format!(
        "line {}: expected topic,partition,offset{or_of_a_group}",
        index.saturating_add(1)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_times_and_durations_are_told_apart() {
        for (text, target) in [
            ("earliest", Target::Earliest),
            ("latest", Target::Latest),
            ("current", Target::Current),
            ("42", Target::At(42)),
            ("1970-01-02", Target::Since(86_400_000)),
            ("1970-01-01T00:00:01.500", Target::Since(1500)),
            ("PT2H", Target::Ago(7_200_000)),
            ("90 min ago", Target::Ago(5_400_000)),
        ] {
            assert_eq!(text.parse(), Ok(target), "{text}");
        }
        assert!(
            "-5".parse::<Target>()
                .is_err_and(|why| why.contains("--shift-by"))
        );
        assert!("soon".parse::<Target>().is_err());
    }

    #[test]
    fn a_topic_may_name_partitions() {
        let scope = |topic: &str, partitions: &[i32]| {
            Ok(TopicScope {
                topic: topic.to_owned(),
                partitions: partitions.to_vec(),
            })
        };
        assert_eq!("orders".parse(), scope("orders", &[]));
        assert_eq!("orders:0,12".parse(), scope("orders", &[0, 12]));
        for text in ["", ":0", "orders:", "orders:a", "orders:-1", "orders:0,"] {
            assert!(text.parse::<TopicScope>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_of_kafkas_tool_is_read() {
        let at = |topic: &str, partition| TopicPartition::new(topic, partition);
        // Kafka's tool quotes names of more than 24 characters.
        let text = "orders,0,5\n\"a-topic-with-quite-a-long-name\",1,7\n\n";
        assert_eq!(
            offsets_of_file(text, Some("g")),
            Ok(BTreeMap::from([
                (at("orders", 0), 5),
                (at("a-topic-with-quite-a-long-name", 1), 7)
            ]))
        );
        assert_eq!(
            offsets_of_file("g,orders,0,5\nother,orders,0,9\n", Some("g")),
            Ok(BTreeMap::from([(at("orders", 0), 5)]))
        );
    }

    #[test]
    fn a_file_of_no_group_names_none() {
        let at = TopicPartition::new("orders", 0);
        assert_eq!(
            offsets_of_file("orders,0,5\n", None),
            Ok(BTreeMap::from([(at, 5)]))
        );
        assert!(offsets_of_file("g,orders,0,5\n", None).is_err_and(|why| !why.contains("group")));
    }

    #[test]
    fn a_wrong_line_of_a_file_is_named() {
        for text in ["orders,0,5\norders,0\n", "orders,0,5\norders,0,-1", "a,1,2\n,0,5"] {
            assert!(
                offsets_of_file(text, Some("g")).is_err_and(|why| why.starts_with("line 2:")),
                "{text}"
            );
        }
    }
}
