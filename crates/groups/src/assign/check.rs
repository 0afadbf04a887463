//! Whether what an application's own assignor made can be acted on.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use super::{AssignError, GroupTopics, Shares};
use crate::{Subscription, TopicPartition};

/// Refuses shares of members that are not in the group, partitions that do not exist, and a partition that is given twice.
/// `topics` are those that the shares were made from.
///
/// A topic that its new owner does not subscribe to is no error here: that member finds out, does not take it and joins again.
///
/// # Errors
///
/// The first mistake.
// Kafka's leader does not look: its coordinator drops unknown members, and two owners of one partition would both read it.
pub fn check(
    shares: &Shares,
    topics: &GroupTopics,
    members: &BTreeMap<String, Subscription>,
) -> Result<(), AssignError> {
    let mut owners: BTreeMap<&TopicPartition, &String> = BTreeMap::new();
    for (member, share) in shares {
        if !members.contains_key(member) {
            return Err(AssignError::new(format!(
                "it gives partitions to {member}, which is not in the group"
            )));
        }
        for partition in &share.partitions {
            let count = topics.get(&partition.topic).map_or(0, |topic| topic.partitions);
            if !u32::try_from(partition.partition).is_ok_and(|number| number < count) {
                return Err(AssignError::new(format!(
                    "it gives {partition} to {member}, which is not among the {count} partitions that it was told of"
                )));
            }
            if let Some(other) = owners.insert(partition, member) {
                return Err(AssignError::new(format!(
                    "it gives {partition} to {other} and to {member}"
                )));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;
    use std::vec;

    use super::*;
    use crate::Assignment;
    use crate::assign::TopicLayout;

    fn checked(shares: &[(&str, &[i32])]) -> Result<(), AssignError> {
        let share = |(member, numbers): &(&str, &[i32])| {
            let partitions = numbers.iter().map(|number| TopicPartition::new("t", *number));
            let share = Assignment {
                partitions: partitions.collect(),
                user_data: None,
            };
            (String::from(*member), share)
        };
        let members = ["a", "b"].map(|id| (String::from(id), Subscription::default()));
        let topics = GroupTopics::from([(Arc::from("t"), TopicLayout::new(2))]);
        check(&shares.iter().map(share).collect(), &topics, &members.into())
    }

    fn is_refused(shares: &[(&str, &[i32])], why: &str) -> bool {
        checked(shares).is_err_and(|error| format!("{error}").contains(why))
    }

    #[test]
    fn what_goes_to_members_once_is_fine_and_need_not_be_everything() {
        assert_eq!(checked(&[("a", &[1]), ("b", &[0])]), Ok(()));
        assert_eq!(checked(&[("b", &[1])]), Ok(()));
        assert_eq!(checked(&[]), Ok(()));
    }

    #[test]
    fn unknown_members_and_partitions_and_two_owners_are_mistakes() {
        assert!(is_refused(&[("c", &[])], "c, which is not in the group"));
        assert!(is_refused(&[("a", &[2])], "t-2"));
        assert!(is_refused(&[("a", &[-1])], "t--1"));
        assert!(is_refused(&[("a", &[0]), ("b", &[0])], "t-0 to a and to b"));
        assert!(is_refused(&[("a", &[0, 0])], "t-0 to a and to a"));
        let other = vec![TopicPartition::new("u", 0)];
        let share = Assignment {
            partitions: other,
            user_data: None,
        };
        let members = BTreeMap::from([(String::from("a"), Subscription::default())]);
        assert!(check(&[(String::from("a"), share)].into(), &BTreeMap::new(), &members).is_err());
    }
}
