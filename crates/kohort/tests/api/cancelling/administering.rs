//! Calls of the admin client that are dropped anywhere: one that asks, one that changes something.

use kohort::Admin;
use kohort::admin::{ItemError, NewTopic};
use kohort_broker::{Broker, ErrorCode};

use super::everywhere;
use crate::support::{broker, transport};

fn admin(broker: &Broker) -> Admin {
    let builder = Admin::builder().bootstrap_servers(broker.bootstrap_servers());
    let builder = builder.transport(transport(broker));
    builder.build().expect("valid settings")
}

#[tokio::test(start_paused = true)]
async fn a_question_of_the_admin_client_dropped_anywhere_can_be_asked_again() {
    everywhere(|cut| async move {
        let broker = broker("t", 3).await;
        let admin = admin(&broker);
        let is_done = cut.run(admin.describe_topics(["t"])).await.is_some();
        let described = admin.describe_topics(["t"]).await.expect("an answer");
        let partitions = described["t"].as_ref().map(|topic| topic.partitions.len());
        assert_eq!(partitions, Ok(3), "{cut:?}");
        is_done
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_the_admin_client_was_to_change_when_its_call_was_dropped_is_changed_or_not_and_nothing_in_between()
 {
    everywhere(|cut| async move {
        let broker = broker("t", 1).await;
        let admin = admin(&broker);
        let new = || NewTopic {
            partitions: Some(2),
            ..NewTopic::new("new")
        };
        let is_done = cut.run(admin.create_topics([new()])).await.is_some();
        let again = admin.create_topics([new()]).await.expect("an answer");
        let is_there_already = matches!(
            &again["new"],
            Err(ItemError::Refused {
                error: ErrorCode::TopicAlreadyExists,
                ..
            })
        );
        assert!(
            is_there_already || (!is_done && again["new"].is_ok()),
            "{cut:?}: {again:?}"
        );
        let described = admin.describe_topics(["new"]).await.expect("an answer");
        let partitions = described["new"].as_ref().map(|topic| topic.partitions.len());
        assert_eq!(partitions, Ok(2), "{cut:?}");
        is_done
    })
    .await;
}
