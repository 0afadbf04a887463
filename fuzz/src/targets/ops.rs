//! Inputs made of operations: each a byte that says what to do, two bytes of length, and so many bytes. What is cut short at
//! the end counts as far as it goes.

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// What to do, as the target reads it.
    pub kind: u8,
    /// With what.
    pub payload: Vec<u8>,
}

/// The settings and the operations of an input.
pub fn split(input: &[u8], head: usize) -> (Vec<u8>, Vec<Op>) {
    let (settings, mut rest) = input.split_at(head.min(input.len()));
    let mut settings = settings.to_vec();
    settings.resize(head, 0);
    let mut ops = Vec::new();
    while let [kind, high, low, after @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high, *low])).min(after.len());
        let (payload, after) = after.split_at(len);
        ops.push(Op {
            kind: *kind,
            payload: payload.to_vec(),
        });
        rest = after;
    }
    (settings, ops)
}

/// The input of settings and operations. Payloads are cut at 65,535 bytes.
pub fn join(settings: &[u8], ops: &[Op]) -> Vec<u8> {
    let mut out = settings.to_vec();
    for op in ops {
        let payload = &op.payload[..op.payload.len().min(usize::from(u16::MAX))];
        out.push(op.kind);
        out.extend_from_slice(&(payload.len() as u16).to_be_bytes());
        out.extend_from_slice(payload);
    }
    out
}
