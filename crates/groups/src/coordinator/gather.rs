//! Requests over several groups: their parts are kept until every group has answered its own.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use kohort_machine::Token;

use super::cx::Cx;
use super::{DeletedGroup, FetchedGroup, GroupResponse};

/// The answer of one group to its part of a request.
#[derive(Debug)]
pub(super) enum Part {
    Fetched(FetchedGroup),
    Deleted(DeletedGroup),
}

/// Which part of which request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PartOf {
    pub(super) token: Token,
    pub(super) index: usize,
}

/// Requests of which some groups have not answered.
#[derive(Debug, Default)]
pub(crate) struct Gathers {
    open: BTreeMap<Token, Gather>,
}

#[derive(Debug)]
struct Gather {
    size: usize,
    parts: BTreeMap<usize, Part>,
}

impl Cx {
    /// Begins to gather `size` parts; with none, `empty` is the answer.
    pub(super) fn gather(&mut self, token: Token, size: usize, empty: GroupResponse) {
        if size == 0 {
            self.reply(token, empty);
        } else {
            let parts = BTreeMap::new();
            self.gathers.open.insert(token, Gather { size, parts });
        }
    }

    /// Takes one part; the last one sends the reply.
    pub(super) fn answer_part(&mut self, of: PartOf, part: Part) {
        let Some(gather) = self.gathers.open.get_mut(&of.token) else {
            return;
        };
        gather.parts.insert(of.index, part);
        if gather.parts.len() < gather.size {
            return;
        }
        let Some(gather) = self.gathers.open.remove(&of.token) else {
            return;
        };
        let mut fetched = Vec::new();
        let mut deleted = Vec::new();
        for part in gather.parts.into_values() {
            match part {
                Part::Fetched(group) => fetched.push(group),
                Part::Deleted(group) => deleted.push(group),
            }
        }
        let response = if deleted.is_empty() {
            GroupResponse::FetchOffsets(fetched)
        } else {
            GroupResponse::Delete(deleted)
        };
        self.reply(of.token, response);
    }
}
