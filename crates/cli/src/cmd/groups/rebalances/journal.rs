//! The journal that a broker of Kohort's writes.

use std::collections::BTreeMap;

use super::{BytesConsumer, Known, Source, Told, keep_last, partition_count, read_to_the_end};
use crate::failure::Failure;

/// The journal's topic, of one partition.
const TOPIC: &str = "__kohort_rebalances";

/// What the journal tells of the groups; `None` when there is none.
pub(super) async fn read(
    consumer: &mut BytesConsumer,
    groups: &[&str],
    count: usize,
) -> Result<Option<BTreeMap<String, Known>>, Failure> {
    if partition_count(consumer, TOPIC).await? == 0 {
        return Ok(None);
    }
    let mut known: BTreeMap<String, Known> =
        groups.iter().map(|group| ((*group).to_owned(), none())).collect();
    read_to_the_end(consumer, TOPIC, 0, |key, value| {
        let group = std::str::from_utf8(&key).ok();
        let told = value.and_then(|value| serde_json::from_slice::<Told>(&value).ok());
        if let (Some(group), Some(told)) = (group, told)
            && let Some(known) = known.get_mut(group)
        {
            known.rebalances.push(told);
        }
    })
    .await?;
    for known in known.values_mut() {
        keep_last(&mut known.rebalances, count);
    }
    Ok(Some(known))
}

fn none() -> Known {
    Known {
        source: Source::Journal,
        rebalances: Vec::new(),
    }
}
