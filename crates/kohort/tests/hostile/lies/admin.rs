//! The same lies told to an administrator: each command has an answer, and what was asked for is done.

use kohort::admin::{AdminError, ItemError};
use kohort_broker::ErrorCode;

use super::*;
use crate::cuts::admin::{CHANGING, LOOKING, ask, attempt, is_done, prepare};
use crate::cuts::{admin, honest};

/// What an administrator asks, and the error of what it has changed before.
fn apis() -> impl Iterator<Item = (ApiKey, Option<ErrorCode>)> {
    LOOKING.into_iter().map(|api| (api, None)).chain(CHANGING)
}

#[tokio::test(start_paused = true)]
async fn a_changed_reply_of_any_api_keeps_no_administrator_from_what_it_wants() {
    for (api, done_before) in apis() {
        let broker = broker().await;
        let truth = admin(&broker, honest(&broker));
        for (number, lie) in (1..).zip(LIES) {
            let what = format!("{api} {lie:?}");
            prepare(api, &truth, &broker, number).await;
            let rule = FaultRule::next(api, Fault::Lie(lie));
            broker.inject(rule).await.expect("the broker runs");
            let asking = admin(&broker, honest(&broker));
            let result = timeout(120 * SECOND, attempt(api, &asking, number)).await;
            match result.expect(&what) {
                Ok(()) => {}
                Err(AdminError::Failed(ItemError::Refused { error, .. })) => {
                    assert_eq!(Some(error), done_before, "{what}");
                }
                // It may be there later.
                Err(AdminError::Failed(ItemError::TimedOut { last: Some(last), .. })) => assert_eq!(
                    done_before,
                    Some(ErrorCode::UnknownTopicOrPartition),
                    "{what}: {last}"
                ),
                Err(error) => panic!("{what}: {error}"),
            }
            assert!(is_done(api, &truth, number).await.expect("an answer"), "{what}");
        }
    }
}

/// What is changed and still well formed is believed, so nothing is asked of what it says.
#[tokio::test(start_paused = true)]
async fn noise_in_any_reply_leaves_no_command_of_an_administrator_without_an_answer() {
    for (api, _) in apis() {
        let broker = broker().await;
        let truth = admin(&broker, honest(&broker));
        for seed in 0..40 {
            let (number, bytes) = (seed as i64 + 1, 1 + seed as u32 % 8);
            let what = format!("{api} {seed}");
            prepare(api, &truth, &broker, number).await;
            let mut rule = FaultRule::next(api, Fault::Lie(Lie::Noise { seed, bytes }));
            rule.times = 3;
            broker.inject(rule).await.expect("the broker runs");
            let asking = admin(&broker, honest(&broker));
            let result = timeout(120 * SECOND, ask(api, &asking, number)).await;
            if let Err(error) = result.expect(&what) {
                assert!(!error.to_string().is_empty(), "{what}");
            }
            broker.clear_faults().await.expect("the broker runs");
        }
    }
}
