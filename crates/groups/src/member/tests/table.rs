//! The table of states and events: where each event leads from each state, and what it makes the member do.

use std::fmt::Write as _;

use super::*;

/// A member in each state, with the topic "t" subscribed: eager, dynamic, "m" in generation 1 where it has one.
fn states() -> Vec<(&'static str, Driven)> {
    let stable = || stable(config(), &[("t", 0)]);
    let mut revoking = stable();
    revoking.step(subscribe(&["t", "u"]));
    let (mut computing, token) = joining(config());
    computing.step(reply(token, joined(1, "m", &["m"])));
    let mut leaving = stable();
    leaving.step(Event::Unsubscribed);
    let (mut failed, token) = joining(config());
    failed.step(refuse(token, Refusal::GroupMaxSizeReached));
    let (mut backing_off, token) = joining(config());
    backing_off.step(fail(token, Failure::Unreachable));
    vec![
        ("new", driven(config())),
        ("backing off", backing_off),
        ("revoking", revoking),
        ("joining", joining(config()).0),
        ("computing", computing),
        ("syncing", syncing(config()).0),
        ("assigning", assigning(config(), &[("t", 0)]).0),
        ("stable", stable()),
        ("leading", leading(config())),
        ("leaving", leaving),
        ("failed", failed),
    ]
}

fn events(member: &Driven) -> Vec<(&'static str, Option<Event>)> {
    let step = member
        .machine()
        .listening
        .as_ref()
        .map(|listening| listening.step);
    let beats = member.machine().timers.is_set(&Timer::Heartbeat);
    let beat = |refusal| beats.then_some(refuse(Token(u64::MAX), refusal));
    let identity = Box::new(member.machine().identity.clone());
    let refusal = Refusal::IllegalGeneration;
    vec![
        ("subscribed", Some(subscribe(&["u"]))),
        ("unsubscribed", Some(Event::Unsubscribed)),
        (
            "partitions",
            Some(Event::Partitions {
                topics: layouts(&[("t", 9)]),
            }),
        ),
        ("listener done", step.map(|step| Event::Assigned { step })),
        ("heartbeat: rebalance", beat(Refusal::RebalanceInProgress)),
        ("heartbeat: unknown", beat(Refusal::UnknownMemberId)),
        ("heartbeat: fenced", beat(Refusal::FencedInstanceId)),
        (
            "commit: illegal",
            Some(Event::CommitRefused { identity, refusal }),
        ),
        ("poll expired", Some(Event::PollExpired)),
        ("polled", Some(Event::Polled)),
        ("enforced", Some(Event::Enforced { reason: "new".into() })),
    ]
}

fn name(action: &Action) -> std::string::String {
    match action {
        Action::Send { request, .. } => std::format!("{:?}", request.api()),
        Action::Began { cause, .. } => {
            let cause = std::format!("{cause:?}");
            let end = cause.find([' ', '{']).unwrap_or(cause.len());
            std::format!("({})", &cause[..end])
        }
        Action::Ended(rebalance) => std::format!("({:?})", rebalance.outcome),
        other => {
            let other = std::format!("{other:?}");
            let end = other.find([' ', '{', '(']).unwrap_or(other.len());
            other[..end].into()
        }
    }
}

#[test]
fn each_event_leads_where_the_table_says() {
    let mut table = std::string::String::new();
    let names: Vec<_> = states().iter().map(|(name, _)| *name).collect();
    for (row, state) in names.iter().enumerate() {
        let count = events(&states()[row].1).len();
        for column in 0..count {
            let mut member = states().swap_remove(row).1;
            let (what, event) = events(&member).swap_remove(column);
            let Some(mut event) = event else {
                continue;
            };
            if let Event::Reply { token, .. } = &mut event {
                *token = sent_heartbeat(&member.advance(3 * SECOND));
            }
            let before = member.machine().state.clone();
            let actions: Vec<_> = member.step(event).iter().map(name).collect();
            let after = &member.machine().state;
            if actions.is_empty() && *after == before {
                continue;
            }
            writeln!(
                table,
                "{state:12}{what:22}{:?}: {}",
                after.kind(),
                actions.join(" ")
            )
            .expect("a string grows");
        }
    }
    assert_eq!(table.trim(), TABLE.trim(), "\n{table}");
}

/// What is not listed does nothing at once; much of it is remembered.
const TABLE: &str = "
new         subscribed            Joining: (FirstJoin) JoinGroup
new         unsubscribed          Unjoined: Left
backing off unsubscribed          Unjoined: (Abandoned) Left
revoking    unsubscribed          Leaving: (Abandoned) (Leaving)
revoking    listener done         Joining: JoinGroup
revoking    heartbeat: fenced     Failed: (Abandoned) (Failed) Failed
revoking    poll expired          Revoking: PollExpired LeaveGroup
joining     unsubscribed          Unjoined: (Abandoned) Left
computing   unsubscribed          Leaving: (Abandoned) (Leaving) (Left) LeaveGroup
computing   heartbeat: unknown    Joining: JoinGroup
computing   heartbeat: fenced     Failed: (Abandoned) Failed
computing   commit: illegal       Joining: JoinGroup
computing   poll expired          Unjoined: PollExpired LeaveGroup (Abandoned)
syncing     unsubscribed          Leaving: (Abandoned) (Leaving) (Left) LeaveGroup
syncing     heartbeat: unknown    Joining: JoinGroup
syncing     heartbeat: fenced     Failed: (Abandoned) Failed
syncing     commit: illegal       Joining: JoinGroup
syncing     poll expired          Unjoined: PollExpired LeaveGroup (Abandoned)
assigning   unsubscribed          Leaving: (Abandoned) (Leaving)
assigning   listener done         Stable: (Assigned)
assigning   heartbeat: fenced     Failed: (Abandoned) (Failed) Failed
assigning   poll expired          Assigning: PollExpired LeaveGroup
stable      subscribed            Revoking: (SubscriptionChanged) Revoke
stable      unsubscribed          Leaving: (Leaving) Revoke
stable      heartbeat: rebalance  Revoking: (RebalanceInProgress) Revoke
stable      heartbeat: unknown    Revoking: (UnknownMemberId) Lost
stable      heartbeat: fenced     Failed: (Failed) Lost Failed
stable      commit: illegal       Revoking: (IllegalGeneration) Lost
stable      poll expired          Revoking: PollExpired LeaveGroup (PollExpired) Lost
stable      enforced              Revoking: (Enforced) Revoke
leading     subscribed            Revoking: (SubscriptionChanged) Revoke
leading     unsubscribed          Leaving: (Leaving) Revoke
leading     partitions            Revoking: (PartitionsChanged) Revoke
leading     heartbeat: rebalance  Revoking: (RebalanceInProgress) Revoke
leading     heartbeat: unknown    Revoking: (UnknownMemberId) Lost
leading     heartbeat: fenced     Failed: (Failed) Lost Failed
leading     commit: illegal       Revoking: (IllegalGeneration) Lost
leading     poll expired          Revoking: PollExpired LeaveGroup (PollExpired) Lost
leading     enforced              Revoking: (Enforced) Revoke
leaving     listener done         Leaving: (Left) LeaveGroup
failed      unsubscribed          Unjoined: Left
failed      polled                Joining: (PolledAfterError) JoinGroup
";
