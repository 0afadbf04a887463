//! What `poll_raw` returns: whole batches whose records borrow key, value and headers. Nothing is allocated per record.

use kohort_engine::delivery::Taken;
use kohort_groups::TopicPartition;
use kohort_records::RecordView;

/// The records of one `poll_raw`, not decoded. It owns the batches, so the consumer can be used while they are iterated.
///
/// ```
/// use kohort::consumer::RawRecords;
///
/// fn bytes(records: &RawRecords) -> usize {
///     records.iter().map(|(_partition, record)| record.value.map_or(0, <[u8]>::len)).sum()
/// }
/// # assert_eq!(bytes(&RawRecords::default()), 0);
/// ```
#[derive(Debug, Clone, Default)]
pub struct RawRecords(Taken);

impl RawRecords {
    pub(crate) fn new(taken: Taken) -> Self {
        Self(taken)
    }

    /// The number of records.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether the time passed without a record.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All records, each with its partition; those of a partition in the order of their offsets. A record that is to be kept
    /// becomes owned by [`RecordView::to_owned`], which shares the batch, or [`RecordView::to_copy`].
    pub fn iter(&self) -> impl Iterator<Item = (&TopicPartition, RecordView<'_>)> {
        self.0.chunks().flat_map(|chunk| {
            let partition: &TopicPartition = chunk.partition();
            chunk.records().iter().map(move |record| (partition, record))
        })
    }

    /// The records batch by batch: the fastest way, since the partition is looked at once a batch.
    pub fn batches(&self) -> impl Iterator<Item = (&TopicPartition, kohort_records::Records<'_>)> {
        self.0.chunks().map(|chunk| {
            let partition: &TopicPartition = chunk.partition();
            (partition, chunk.records().iter())
        })
    }
}
