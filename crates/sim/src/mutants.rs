//! Bugs to put in, one at a time, to show that the invariants find them. Each is made where machines meet: a message is changed, an
//! action dropped, a timer told another time. So production code has no hooks for them.

use std::fmt;
use std::str::FromStr;

macro_rules! mutants {
    ($($(#[doc = $doc:literal])+ $variant:ident $name:literal,)*) => {
        /// One bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mutant {
            $($(#[doc = $doc])+ $variant,)*
        }

        impl Mutant {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name on the command line.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What is wrong with it.
            pub const fn about(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+),)* }
            }
        }
    };
}

mutants! {
    /// The coordinator does not compare the generation of commits, heartbeats and syncs.
    GenerationFenceSkipped "generation-fence-skipped",
    /// The coordinator stores a commit of a member that it does not know.
    CommitOfOldMember "commit-of-old-member",
    /// The coordinator says yes to every heartbeat.
    HeartbeatOfOldGeneration "heartbeat-of-old-generation",
    /// The coordinator never misses a silent member.
    SessionTimerNotArmed "session-timer-not-armed",
    /// All generations have the same number.
    EpochNotBumped "epoch-not-bumped",
    /// The leader gives the first partition to every member.
    SharedTwice "shared-twice",
    /// The coordinator begins a rebalance without a reason.
    RebalanceWithoutCause "rebalance-without-cause",
    /// What is committed is told with one too many.
    CommittedPlusOne "committed-plus-one",
    /// What is committed is told as if nothing were.
    CommittedForgotten "committed-forgotten",
    /// The first answer of a new connection is the last one of the connection before.
    OldConnectionBelieved "old-connection-believed",
    /// The member does not tell its application that partitions are revoked.
    RevocationSkipped "revocation-skipped",
    /// What was fetched is handed out after its partition was revoked.
    HandOutAfterRevoke "hand-out-after-revoke",
    /// Nothing is handed out while the group rebalances, of what stays neither.
    RetainedIsPaused "retained-is-paused",
    /// A commit of all that was consumed takes along what was revoked a moment ago.
    RevokedStaysConsumed "revoked-stays-consumed",
    /// An automatic commit covers what the application has not processed yet.
    CommitGuardSkipped "commit-guard-skipped",
    /// What was fetched before a seek is handed out after it.
    StaleFetchAccepted "stale-fetch-accepted",
    /// The position moves past a record that is not handed out.
    PositionBeforeDelivery "position-before-delivery",
    /// The engine does not hear that buffered records were taken.
    ProgressNotReported "progress-not-reported",
    /// After a crash the end of a log that was not wholly written is kept.
    TornTailNotCut "torn-tail-not-cut",
    /// The broker acknowledges before the disk has synced.
    SyncNotDone "sync-not-done",
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Mutant {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|mutant| mutant.name() == name);
        found
            .copied()
            .ok_or_else(|| format!("no mutant has this name; --list-mutants lists them: {name}"))
    }
}
