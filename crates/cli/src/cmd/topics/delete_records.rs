//! `kohort topics delete-records`: what would be deleted, and with `--execute` deleting it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;

use kohort::TopicPartition;
use kohort::admin::{Admin, OffsetSpec, RecordsToDelete};

use crate::args::DeleteRecordsArgs;
use crate::cmd::groups::target::{Target, offsets_of_file};
use crate::cmd::partitions::{find, partitions_of};
use crate::cmd::{admin, each};
use crate::failure::Failure;
use crate::output::Output;
use crate::table::Table;
use crate::time;

/// Where a partition is to begin, and what is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cut {
    partition: TopicPartition,
    /// The first record to keep.
    before: i64,
    /// The first offset that is there.
    first: i64,
    /// The offset after the last record.
    end: i64,
}

impl Cut {
    /// How many offsets that are there would not be there any more.
    fn deleted(&self) -> i64 {
        self.before.saturating_sub(self.first).max(0)
    }
}

/// Shows the plan, and acts on it when told to.
pub(super) async fn run(args: DeleteRecordsArgs) -> Result<(), Failure> {
    let file = args.from_file.as_ref().map(|path| {
        let text = fs::read_to_string(path).map_err(|error| Failure::because(path.display(), &error))?;
        match offsets_of_file(&text, None) {
            Ok(offsets) if offsets.is_empty() => {
                Err(Failure::Failed(format!("{}: no offsets", path.display())))
            }
            Ok(offsets) => Ok(offsets),
            Err(why) => Err(Failure::Failed(format!("{}: {why}", path.display()))),
        }
    });
    let file = file.transpose()?;
    let admin = admin(&args.cluster).await?;
    let partitions = match &file {
        Some(offsets) => offsets.keys().cloned().collect(),
        None => partitions_of(&admin, &args.topics).await?,
    };
    let cuts = cuts(&admin, args.before, file.as_ref(), &partitions).await?;
    if let Some(beyond) = cuts.iter().find(|cut| cut.before > cut.end) {
        return Err(Failure::Failed(format!(
            "nothing was deleted: {} ends at {}, and {} is beyond it",
            beyond.partition, beyond.end, beyond.before
        )));
    }
    Output::stdout().write(|out| {
        table(&cuts).write(out, "")?;
        writeln!(out, "\n{}", summary(&cuts))
    })?;
    match args.execute {
        true => execute(&admin, &cuts).await,
        false => {
            anstream::eprintln!("kohort: nothing was deleted; --execute does it");
            Ok(())
        }
    }
}

async fn cuts(
    admin: &Admin,
    before: Option<Target>,
    file: Option<&BTreeMap<TopicPartition, i64>>,
    partitions: &BTreeSet<TopicPartition>,
) -> Result<Vec<Cut>, Failure> {
    let first = find(admin, partitions, OffsetSpec::Earliest).await?;
    let end = find(admin, partitions, OffsetSpec::Latest).await?;
    let since = match before {
        Some(Target::Since(time)) => Some(time),
        Some(Target::Ago(duration)) => Some(time::now().saturating_sub(duration).max(0)),
        _ => None,
    };
    let by_time = match since {
        Some(since) => {
            anstream::eprintln!("kohort: what is older than {}", time::show(since));
            find(admin, partitions, OffsetSpec::Timestamp(since)).await?
        }
        None => BTreeMap::new(),
    };
    let offset = |of: &BTreeMap<TopicPartition, Option<i64>>, partition: &TopicPartition| {
        of.get(partition).copied().flatten()
    };
    let cuts = partitions.iter().map(|partition| {
        let (first, end) = (
            offset(&first, partition).unwrap_or(0),
            offset(&end, partition).unwrap_or(0),
        );
        Cut {
            partition: partition.clone(),
            before: match before {
                Some(Target::At(offset)) => offset,
                Some(Target::Latest) => end,
                // Where no record is that young, all are older.
                Some(Target::Since(_) | Target::Ago(_)) => offset(&by_time, partition).unwrap_or(end),
                Some(Target::Earliest | Target::Current) => first,
                None => file
                    .and_then(|file| file.get(partition).copied())
                    .unwrap_or(first),
            },
            first,
            end,
        }
    });
    Ok(cuts.collect())
}

fn table(cuts: &[Cut]) -> Table {
    let mut table = Table::new(&["topic", "partition", "first", "first then", "end", "deletes"]);
    for cut in cuts {
        table.row(vec![
            cut.partition.topic.to_string(),
            cut.partition.partition.to_string(),
            cut.first.to_string(),
            cut.before.max(cut.first).to_string(),
            cut.end.to_string(),
            match cut.deleted() {
                0 => "-".to_owned(),
                deleted => deleted.to_string(),
            },
        ]);
    }
    table
}

/// The plan in one line. Of a compacted log fewer records are there than offsets.
fn summary(cuts: &[Cut]) -> String {
    let changed = cuts.iter().filter(|cut| cut.deleted() > 0).count();
    let deleted = cuts.iter().map(Cut::deleted).fold(0, i64::saturating_add);
    format!(
        "{changed} of {} partitions change; {deleted} offsets go",
        cuts.len()
    )
}

async fn execute(admin: &Admin, cuts: &[Cut]) -> Result<(), Failure> {
    let changing = cuts.iter().filter(|cut| cut.deleted() > 0);
    let wanted = changing.map(|cut| (cut.partition.clone(), RecordsToDelete::Before(cut.before)));
    let deleted = admin
        .delete_records(wanted)
        .await
        .map_err(|error| Failure::because("deleting records", &error))?;
    each("cannot delete records of", deleted, |partition, first| {
        anstream::eprintln!("kohort: {partition} begins at {first}");
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The log has the offsets 10 to 99.
    fn cut(before: i64) -> Cut {
        Cut {
            partition: TopicPartition::new("orders", 3),
            before,
            first: 10,
            end: 100,
        }
    }

    #[test]
    fn what_is_gone_is_not_deleted_again() {
        assert_eq!(cut(25).deleted(), 15);
        assert_eq!(cut(10).deleted(), 0);
        assert_eq!(cut(3).deleted(), 0);
    }

    #[test]
    fn the_summary_adds_up() {
        assert_eq!(
            summary(&[cut(25), cut(3), cut(100)]),
            "2 of 3 partitions change; 105 offsets go"
        );
    }

    #[test]
    fn the_plan_says_where_each_partition_begins_then() {
        let mut out = Vec::new();
        table(&[cut(25), cut(3)]).write(&mut out, "").unwrap();
        let shown = String::from_utf8(out).unwrap();
        let rows: Vec<Vec<&str>> = shown
            .lines()
            .skip(1)
            .map(|row| row.split_whitespace().collect())
            .collect();
        assert_eq!(
            rows,
            [
                ["orders", "3", "10", "25", "100", "15"],
                ["orders", "3", "10", "10", "100", "-"]
            ]
        );
    }
}
