//! Commits that are dropped anywhere.

use super::{Read, Reader, everywhere, filled, member};
use crate::support::partition;

#[tokio::test(start_paused = true)]
async fn a_commit_dropped_anywhere_is_written_or_not_and_the_next_one_is() {
    everywhere(|cut| async move {
        let broker = filled(1, 6).await;
        let mut member = member(&broker);
        let mut read = Read::default();
        read.until(2, &mut member).await;
        let is_done = match cut.run(member.commit_sync()).await {
            Some(committed) => committed.is_ok(),
            None => false,
        };
        let at = committed(&mut member).await;
        match is_done {
            true => assert_eq!(at, Some(2)),
            false => assert!(at.is_none() || at == Some(2), "{cut:?}: {at:?}"),
        }
        read.until(4, &mut member).await;
        member.commit_sync().await.expect("it is written");
        assert_eq!(committed(&mut member).await, Some(4), "{cut:?}");
        read.until(6, &mut member).await;
        assert_eq!(read.0, [0, 1, 2, 3, 4, 5]);
        is_done
    })
    .await;
}

async fn committed(member: &mut Reader) -> Option<i64> {
    let mut answer = member.committed([partition(0)]).await.expect("an answer");
    let committed = answer.remove(&partition(0)).flatten();
    committed.map(|committed| committed.offset)
}
