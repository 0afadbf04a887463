//! Deadlines that pass while the node is busy, and what comes meanwhile.

use std::fmt::Debug;

use bytes::Buf;
use kohort_protocol::messages::fetch::{FetchPartition, FetchTopic};
use kohort_protocol::messages::join_group::JoinGroupRequestProtocol;
use kohort_protocol::messages::{
    ApiVersionsRequest, FetchRequest, FindCoordinatorRequest, HeartbeatRequest, JoinGroupRequest,
};
use kohort_protocol::{ErrorCode, Request, ResponseBody};
use tokio::time::advance;

use super::*;

const SESSION: Duration = Duration::from_secs(10);

/// The only member of a group, on a connection of its own.
struct Member {
    conn: u64,
    from_node: mpsc::UnboundedReceiver<Outgoing>,
    heartbeat: HeartbeatRequest,
}

impl Member {
    /// Joins the group; the session begins.
    fn join(task: &mut NodeTask, conn: u64, group: &str) -> Self {
        let (outgoing, from_node) = mpsc::unbounded_channel();
        connect(task, conn, outgoing);
        let mut member = Self {
            conn,
            from_node,
            heartbeat: HeartbeatRequest::default(),
        };
        let find = FindCoordinatorRequest {
            key: group.into(),
            ..Default::default()
        };
        member.ask(task, 0, find);
        let protocol = JoinGroupRequestProtocol {
            name: "range".into(),
            ..Default::default()
        };
        let join = JoinGroupRequest {
            group_id: group.into(),
            session_timeout_ms: SESSION.as_millis() as i32,
            // It never syncs.
            rebalance_timeout_ms: i32::MAX,
            protocol_type: "consumer".into(),
            protocols: vec![protocol],
            ..Default::default()
        };
        let joined = member.ask(task, 3, join);
        assert_eq!(joined.error_code, 0);
        member.heartbeat = HeartbeatRequest {
            group_id: group.into(),
            generation_id: joined.generation_id,
            member_id: joined.member_id,
            ..Default::default()
        };
        member
    }

    fn ask<R>(&mut self, task: &mut NodeTask, version: i16, asked: R) -> R::Response
    where
        R: Request + Into<RequestBody>,
        R::Response: TryFrom<ResponseBody, Error: Debug>,
    {
        task.take(request(self.conn, version, asked));
        task.fire(task.clock.now());
        task.perform();
        self.answer::<R>(version)
    }

    fn answer<R: Request>(&mut self, version: i16) -> R::Response
    where
        R::Response: TryFrom<ResponseBody, Error: Debug>,
    {
        let Ok(Outgoing::Write(mut reply)) = self.from_node.try_recv() else {
            panic!("there is no answer");
        };
        let bytes = reply.segments.copy_to_bytes(reply.segments.remaining());
        let (_, body) = frame::decode_response(bytes.slice(4..), R::KEY, version).unwrap();
        body.try_into().unwrap()
    }

    fn heartbeat(&self) -> Input {
        request(self.conn, 0, self.heartbeat.clone())
    }

    /// What the node said to the heartbeat that it was given.
    fn heard(&mut self) -> ErrorCode {
        ErrorCode::from_code(self.answer::<HeartbeatRequest>(0).error_code)
    }

    /// Whether the node knows it.
    fn is_there(&mut self, task: &mut NodeTask) -> bool {
        task.take(self.heartbeat());
        task.perform();
        self.heard() == ErrorCode::None
    }
}

/// Serves until nobody can send an input any more.
async fn serve(task: &mut NodeTask, inputs: mpsc::Receiver<Input>) {
    let (_stop, stopped) = watch::channel(false);
    task.serve(inputs, stopped).await;
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_that_came_while_the_node_was_busy_keeps_its_member() {
    let mut task = task();
    let mut member = Member::join(&mut task, 0, "g");
    let (sender, inputs) = mpsc::channel(2);
    sender
        .send(request(1, 0, ApiVersionsRequest::default()))
        .await
        .unwrap();
    sender.send(member.heartbeat()).await.unwrap();
    drop(sender);
    advance(SESSION * 2).await;
    serve(&mut task, inputs).await;
    assert_eq!(member.heard(), ErrorCode::None);
    assert!(member.is_there(&mut task));
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_that_nobody_could_read_while_the_node_was_busy_keeps_its_member() {
    let mut task = task();
    let mut member = Member::join(&mut task, 0, "g");
    let (sender, inputs) = mpsc::channel(2);
    advance(SESSION * 2).await;
    // The connection gets its turn only when the node waits.
    let heartbeat = member.heartbeat();
    tokio::spawn(async move { sender.send(heartbeat).await });
    serve(&mut task, inputs).await;
    assert_eq!(member.heard(), ErrorCode::None);
    assert!(member.is_there(&mut task));
}

#[tokio::test(start_paused = true)]
async fn a_member_of_which_nothing_came_is_given_up_however_busy_the_node_was() {
    let mut task = task();
    let mut member = Member::join(&mut task, 0, "g");
    let (_, inputs) = mpsc::channel(2);
    advance(SESSION * 2).await;
    serve(&mut task, inputs).await;
    assert!(!member.is_there(&mut task));
}

#[tokio::test(start_paused = true)]
async fn deadlines_that_passed_since_the_inputs_were_looked_at_wait_for_the_next_look() {
    let mut task = task();
    let begin = task.clock.now();
    let mut silent = Member::join(&mut task, 0, "silent");
    advance(SESSION / 2).await;
    let mut alive = Member::join(&mut task, 1, "alive");
    advance(SESSION * 2).await;
    // Both sessions have ended by now, one of them at the look.
    task.fire(begin + SESSION);
    assert!(!silent.is_there(&mut task));
    assert!(alive.is_there(&mut task));
}

#[tokio::test(start_paused = true)]
async fn inputs_that_keep_coming_do_not_put_a_deadline_off() {
    const WAITING: usize = 4;
    let mut task = task();
    let control = Control::CreateTopic {
        name: "t".into(),
        partitions: 1,
        config: Vec::new(),
    };
    task.take(Input::Control {
        control: Box::new(control),
        reply: oneshot::channel().0,
    });
    let (outgoing, mut from_node) = mpsc::unbounded_channel();
    connect(&mut task, 1, outgoing.clone());
    connect(&mut task, 2, outgoing);
    let fetch = FetchRequest {
        max_wait_ms: 100,
        min_bytes: 1,
        max_bytes: 1 << 20,
        session_epoch: -1,
        topics: vec![FetchTopic {
            topic: "t".into(),
            partitions: vec![FetchPartition::default()],
            ..Default::default()
        }],
        ..Default::default()
    };
    task.take(request(1, 4, fetch));
    task.perform();
    assert!(from_node.try_recv().is_err(), "it waits");
    let (sender, inputs) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        for _ in 0..100 {
            let input = request(2, 0, ApiVersionsRequest::default());
            sender.send(input).await.unwrap();
        }
    });
    advance(Duration::from_millis(100)).await;
    serve(&mut task, inputs).await;
    let mut order = Vec::new();
    while let Ok(Outgoing::Write(mut reply)) = from_node.try_recv() {
        reply.segments.advance(4);
        order.push(reply.segments.get_i32());
    }
    let before = order.iter().position(|correlation_id| *correlation_id == 1);
    assert_eq!(order.len(), 101);
    assert!(before.is_some_and(|before| before <= WAITING), "{order:?}");
}
