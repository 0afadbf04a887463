//! What goes wrong on the real driver: the fault API of the embedded broker, cables, and applications that crash, dawdle and close.

use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use kohort_broker::{ApiKey, ErrorCode, Fault, FaultRule};

use super::cable::Health;
use super::world::World;
use crate::plan::Weather;

impl World {
    pub(super) fn count(&mut self, what: &'static str, detail: impl FnOnce() -> String) {
        *self.counts.entry(what).or_default() += 1;
        self.run.step();
        self.run.note(|| format!("** {what} {}", detail()));
    }

    pub(super) fn any_member(&self) -> Option<usize> {
        let chosen = usize::try_from(self.run.below(self.lives.len() as u64)).unwrap_or(0);
        self.lives.keys().nth(chosen).copied()
    }

    fn any_broker(&self) -> i32 {
        i32::try_from(self.run.below(u64::from(self.plan.brokers))).unwrap_or(0)
    }

    /// One thing goes wrong.
    pub(super) async fn disturb(&mut self) {
        // A group whose partitions are shared out is to do something, so that rebalances are many.
        let kind = match self.is_shared_out() && self.run.chance(2, 3) {
            true => 1 + self.run.below(6),
            false => self.run.below(20),
        };
        match kind {
            kind @ 0..=7 => self.disturb_member(kind),
            // Rebalances last: what is not part of them goes on all the while.
            _ if self.plan.weather == Weather::Fair => self.disturb_member(7),
            8..=12 => self.disturb_cable(),
            13 => {
                if let Some(no) = self.any_member() {
                    self.count("commit arrives late", || format!("of m{no}"));
                    self.run.lock().late_commit = Some(no);
                }
            }
            14..=16 => self.inject().await,
            17 => self.move_leader().await,
            _ => self.stop_broker().await,
        }
    }

    fn disturb_member(&mut self, kind: u64) {
        let Some(no) = self.any_member() else { return };
        match kind {
            0 | 1 => {
                self.count("crash", || format!("m{no}"));
                self.cables.unplug(no);
                if let Some(life) = self.lives.remove(&no) {
                    life.task.abort();
                    self.vacate(no, life.slot);
                }
            }
            2..=4 => {
                self.count("close", || format!("m{no}"));
                if let Some(life) = self.lives.get(&no) {
                    life.wishes.close.store(true, Ordering::Relaxed);
                    life.wishes.hurry.notify_one();
                }
            }
            5 | 6 if self.plan.is_static => {}
            5 | 6 => {
                self.count("other subscription", || format!("m{no}"));
                let topics = self.some_topics();
                if let Some(life) = self.lives.get_mut(&no) {
                    life.topics.clone_from(&topics);
                    let wish = &mut *life.wishes.topics.lock().unwrap_or_else(PoisonError::into_inner);
                    *wish = Some(topics);
                    life.wishes.hurry.notify_one();
                }
            }
            _ => {
                let takes = self.plan.slow_poll(&mut self.run.lock().prng);
                self.count("slow poll", || format!("m{no} {takes:?}"));
                if let Some(life) = self.lives.get(&no) {
                    let millis = u64::try_from(takes.as_millis()).unwrap_or(0);
                    life.wishes.slow_ms.store(millis, Ordering::Relaxed);
                }
            }
        }
    }

    fn disturb_cable(&mut self) {
        let number = self.run.below(1 << 32);
        let Some((cable, owner)) = self.cables.any(number) else {
            return;
        };
        let late = Duration::from_millis(200 + self.run.below(1_800));
        let (what, health) = match self.run.below(5) {
            0 | 1 => ("cut", Health::Cut),
            2 => ("cut, requests arrive late", Health::CutLate(late)),
            3 => ("half-open", Health::Silent),
            _ => ("slow connection", Health::Well(late)),
        };
        self.count(what, || format!("of {owner}"));
        self.cables.set(cable, health);
    }

    async fn inject(&mut self) {
        const APIS: &[ApiKey] = &[
            ApiKey::JoinGroup,
            ApiKey::SyncGroup,
            ApiKey::Heartbeat,
            ApiKey::OffsetCommit,
            ApiKey::OffsetFetch,
            ApiKey::Fetch,
            ApiKey::Produce,
            ApiKey::FindCoordinator,
        ];
        let chosen = usize::try_from(self.run.below(APIS.len() as u64)).unwrap_or(0);
        let Some(api) = APIS.get(chosen).copied() else {
            return;
        };
        let fault = match (self.run.below(7), api) {
            (0, _) => Fault::Delay(Duration::from_millis(self.run.below(1_500))),
            (1, _) => Fault::Drop,
            (2, _) => Fault::Cut {
                after: usize::try_from(self.run.below(12)).unwrap_or(0),
            },
            (_, ApiKey::Fetch | ApiKey::Produce) => Fault::Fail(ErrorCode::NotLeaderOrFollower),
            (_, ApiKey::FindCoordinator) => Fault::Fail(ErrorCode::CoordinatorNotAvailable),
            (3, _) => Fault::Fail(ErrorCode::NotCoordinator),
            (4, _) => Fault::Fail(ErrorCode::CoordinatorLoadInProgress),
            _ => Fault::Fail(ErrorCode::CoordinatorNotAvailable),
        };
        let times = 1 + u32::try_from(self.run.below(3)).unwrap_or(0);
        self.count("faults of the broker", || {
            format!("{api} {fault:?} {times} times")
        });
        let rule = FaultRule {
            api: Some(api),
            skip: 0,
            times,
            fault,
        };
        self.broker.inject(rule).await.expect("the broker is there");
    }

    async fn move_leader(&mut self) {
        let broker = self.any_broker();
        let partition = i32::try_from(self.run.below(3)).unwrap_or(0);
        let topic = match self.run.below(3) {
            0 => "t",
            _ => "__consumer_offsets",
        };
        self.count("leader moved", || {
            format!("{topic}-{partition} to broker {broker}")
        });
        // The partition may not be there.
        let _ = self.broker.move_leader(topic, partition, broker).await;
    }

    async fn stop_broker(&mut self) {
        let broker = self.any_broker();
        self.count("broker stopped", || format!("{broker}"));
        self.broker
            .stop_broker(broker)
            .await
            .expect("the broker is there");
        let back = self.run.now() + Duration::from_millis(self.run.below(1_500));
        self.stopped.insert(broker, back);
    }

    /// Nothing goes wrong any more.
    pub(super) async fn calm_down(&self) {
        self.is_calm.store(true, Ordering::Relaxed);
        self.run.note(|| "** the last fault was".to_owned());
        self.broker.clear_faults().await.expect("the broker is there");
        self.cables.mend();
        self.run.lock().late_commit = None;
        for life in self.lives.values() {
            life.wishes.calm.store(true, Ordering::Relaxed);
            life.wishes.slow_ms.store(0, Ordering::Relaxed);
        }
    }

    /// Things go wrong again; who is gone comes back.
    pub(super) fn rouse(&mut self) {
        if self.plan.weather == Weather::Foul {
            self.run.lock().ledger.stop_measuring();
        }
        self.is_calm.store(false, Ordering::Relaxed);
        for life in self.lives.values() {
            life.wishes.calm.store(false, Ordering::Relaxed);
        }
        let taken: BTreeSet<usize> = self.lives.values().map(|life| life.slot).collect();
        let now = self.run.now();
        for slot in (0..self.plan.slots).filter(|slot| !taken.contains(slot)) {
            self.vacant.entry(slot).or_insert(now);
        }
    }
}
