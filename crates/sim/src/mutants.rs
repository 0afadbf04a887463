//! Bugs to put in, one at a time, to show that the invariants find them. Each is made where parts meet: a message is changed, an
//! action dropped, a timer told another time, a record kept from the application. So production code has no hooks for them. Most can
//! be put in in both halves; some only where the parts meet that they need: engine, caller's side and disk in the half of the
//! machines, the public consumer and its application in that of the driver.

use std::fmt;
use std::str::FromStr;

use crate::Half;

const BOTH: &[Half] = &[Half::Machines, Half::Driver];
const MACHINES: &[Half] = &[Half::Machines];
const DRIVER: &[Half] = &[Half::Driver];

macro_rules! mutants {
    ($($(#[doc = $doc:literal])+ $variant:ident $name:literal $halves:expr;)*) => {
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

            /// In which halves it can be put in.
            pub const fn halves(self) -> &'static [Half] {
                match self { $(Self::$variant => $halves,)* }
            }
        }
    };
}

mutants! {
    /// The coordinator does not compare the generation of commits, heartbeats and syncs.
    GenerationFenceSkipped "generation-fence-skipped" BOTH;
    /// The coordinator stores a commit of a member that it does not know.
    CommitOfOldMember "commit-of-old-member" BOTH;
    /// The coordinator says yes to every heartbeat.
    HeartbeatOfOldGeneration "heartbeat-of-old-generation" BOTH;
    /// The coordinator never misses a silent member.
    SessionTimerNotArmed "session-timer-not-armed" BOTH;
    /// All generations have the same number.
    EpochNotBumped "epoch-not-bumped" BOTH;
    /// The leader gives the first partition to every member.
    SharedTwice "shared-twice" BOTH;
    /// The coordinator begins a rebalance without a reason.
    RebalanceWithoutCause "rebalance-without-cause" BOTH;
    /// What is committed is told with one too many.
    CommittedPlusOne "committed-plus-one" BOTH;
    /// What is committed is told as if nothing were.
    CommittedForgotten "committed-forgotten" BOTH;
    /// The first answer of a new connection is the last one of the connection before.
    OldConnectionBelieved "old-connection-believed" BOTH;
    /// The member does not tell its application that partitions are revoked.
    RevocationSkipped "revocation-skipped" BOTH;
    /// What was fetched is handed out after its partition was revoked.
    HandOutAfterRevoke "hand-out-after-revoke" BOTH;
    /// Nothing is handed out while the group rebalances, of what stays neither.
    RetainedIsPaused "retained-is-paused" BOTH;
    /// A commit of all that was consumed takes along what was revoked a moment ago.
    RevokedStaysConsumed "revoked-stays-consumed" BOTH;
    /// An automatic commit covers what the application has not processed yet.
    CommitGuardSkipped "commit-guard-skipped" MACHINES;
    /// What was fetched before a seek is handed out after it.
    StaleFetchAccepted "stale-fetch-accepted" BOTH;
    /// The position moves past a record that is not handed out.
    PositionBeforeDelivery "position-before-delivery" BOTH;
    /// The engine does not hear that buffered records were taken.
    ProgressNotReported "progress-not-reported" MACHINES;
    /// After a crash the end of a log that was not wholly written is kept.
    TornTailNotCut "torn-tail-not-cut" MACHINES;
    /// A commit takes one record along that was not handed out.
    CommitOneTooMany "commit-one-too-many" BOTH;
    /// Now and then the answer to a request never comes, though its connection stands.
    ReplyLost "reply-lost" BOTH;
    /// The application is told that a commit is stored which was refused.
    CommitRefusalLost "commit-refusal-lost" DRIVER;
    /// A poll that is given up halfway loses the records that it has taken.
    DroppedPollLosesRecords "dropped-poll-loses-records" DRIVER;
    /// A close that is dropped halfway commits what was committed before the last time.
    DroppedCloseTakesBack "dropped-close-takes-back" DRIVER;
    /// An `unsubscribe` that is dropped halfway has not begun, and reading goes on.
    DroppedUnsubscribeForgotten "dropped-unsubscribe-forgotten" DRIVER;
    /// Now and then what was committed some time ago is committed once more.
    CommitTakenBack "commit-taken-back" BOTH;
    /// The position moves past a record that the application could not take.
    FailurePassedOver "failure-passed-over" BOTH;
    /// What was decoded before a deserializer or a sink panicked is not handed out again.
    PanicLosesDecoded "panic-loses-decoded" BOTH;
    /// The listener hears each assignment twice.
    ListenerCalledTwice "listener-called-twice" DRIVER;
    /// The broker acknowledges before the disk has synced.
    SyncNotDone "sync-not-done" MACHINES;
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
