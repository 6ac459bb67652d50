//! What becomes of Kubernetes events: equal ones are counted, many are combined, a flood is dropped.
//!
//! Follows client-go's `tools/record/events_cache.go` with its defaults, because what users see in
//! `kubectl get events` is what remains after it.

use std::collections::BTreeMap;
use std::hash::Hasher as _;
use std::sync::Arc;

use twox_hash::XxHash64;

use crate::engine::{Event, EventKind};
use crate::time::{Duration, Timestamp};

use super::observer::EventOutcome;
use super::world::ObjectRef;

/// Events of a kind with different messages beyond this number are combined.
const COMBINE_AT: usize = 10;
const COMBINE_WINDOW: Duration = Duration::from_secs(600);
/// Events of a type (Normal, Warning) about one object that pass at once; one more passes every
/// five minutes.
const BURST: f64 = 25.0;
const SECONDS_PER_TOKEN: f64 = 300.0;
/// Bound on what is kept for an object; beyond it the record starts afresh.
const REMEMBERED: usize = 4096;

#[derive(Debug, Clone, Default)]
pub(crate) struct EventRecorder {
    objects: BTreeMap<ObjectRef, Arc<Record>>,
}

/// Lists, as an object has few events, and a controller many objects.
#[derive(Debug, Clone)]
struct Record {
    normal: Bucket,
    warning: Bucket,
    /// Types and reasons, and when they were seen last.
    reasons: Vec<(Digest, Timestamp)>,
    /// Of each type and reason the messages that were not combined.
    messages: Vec<(Digest, Digest)>,
    /// By type, reason and message.
    stored: Vec<(Digest, Stored)>,
}

/// Stands for texts, of which an object soon has thousands of bytes: with 64 bits two of the few that are
/// kept for an object are never taken for each other.
type Digest = u64;

fn digest(kind: EventKind, texts: &[&str]) -> Digest {
    let mut hasher = XxHash64::with_seed(0);
    hasher.write_u8(match kind {
        EventKind::Normal => 0,
        EventKind::Warning => 1,
    });
    for text in texts {
        hasher.write(text.as_bytes());
        // No text has this byte, so none runs into the next.
        hasher.write_u8(0xff);
    }
    hasher.finish()
}

#[derive(Debug, Clone, Copy)]
struct Stored {
    first: Timestamp,
    count: u32,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub outcome: EventOutcome,
    /// When the first of its kind was stored.
    pub first: Timestamp,
    /// How many there have been by now.
    pub count: u32,
    /// It stands for events of several messages.
    pub combined: bool,
}

#[derive(Debug, Clone)]
struct Bucket {
    tokens: f64,
    filled_at: Timestamp,
}

impl EventRecorder {
    pub fn record(&mut self, now: Timestamp, object: &ObjectRef, event: &Event) -> EventOutcome {
        self.count(now, object, event).outcome
    }

    pub fn count(&mut self, now: Timestamp, object: &ObjectRef, event: &Event) -> Recorded {
        let record = self.objects.entry(object.clone()).or_insert_with(|| {
            Arc::new(Record {
                normal: Bucket::full(now),
                warning: Bucket::full(now),
                reasons: Vec::new(),
                messages: Vec::new(),
                stored: Vec::new(),
            })
        });
        let record = Arc::make_mut(record);
        let of_message = digest(event.kind, &[&event.reason, &event.message]);
        let of_reason = digest(event.kind, &[&event.reason]);
        let messages = &mut record.messages;
        match record.reasons.iter_mut().find(|(it, _)| *it == of_reason) {
            Some((_, last)) => {
                if now.since(*last) > COMBINE_WINDOW {
                    messages.retain(|(reason, _)| *reason != of_reason);
                }
                *last = now;
            }
            None => record.reasons.push((of_reason, now)),
        }
        let similar = messages.iter().filter(|(it, _)| *it == of_reason);
        let is_known = similar.clone().any(|(_, it)| *it == of_message);
        let similar = similar.count().saturating_add(usize::from(!is_known));
        let combined = similar >= COMBINE_AT;
        if combined {
            messages.retain(|(_, it)| *it != of_message);
        } else if !is_known {
            messages.push((of_reason, of_message));
        }
        // All combined events of a kind are one object.
        let key = if combined { of_reason } else { of_message };
        let bucket = match event.kind {
            EventKind::Normal => &mut record.normal,
            EventKind::Warning => &mut record.warning,
        };
        let recorded = |outcome, stored: Stored| Recorded {
            outcome,
            first: stored.first,
            count: stored.count,
            combined,
        };
        let new = Stored {
            first: now,
            count: 1,
        };
        if !bucket.take(now) {
            return recorded(EventOutcome::Dropped, new);
        }
        if record.stored.len() >= REMEMBERED {
            record.stored.clear();
        }
        match record.stored.iter_mut().find(|(it, _)| *it == key) {
            None => {
                record.stored.push((key, new));
                recorded(EventOutcome::Stored, new)
            }
            Some((_, stored)) => {
                stored.count = stored.count.saturating_add(1);
                recorded(EventOutcome::Counted, *stored)
            }
        }
    }

    pub fn forget(&mut self, object: &ObjectRef) {
        self.objects.remove(object);
    }
}

impl Bucket {
    fn full(now: Timestamp) -> Self {
        Self {
            tokens: BURST,
            filled_at: now,
        }
    }

    /// Whether there was a token to take.
    fn take(&mut self, now: Timestamp) -> bool {
        let elapsed = now.since(self.filled_at).as_secs_f64().max(0.0);
        self.tokens = (self.tokens + elapsed / SECONDS_PER_TOKEN).min(BURST);
        self.filled_at = now;
        let has_one = self.tokens >= 1.0;
        if has_one {
            self.tokens -= 1.0;
        }
        has_one
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::world::Kind;

    #[test]
    fn equal_events_are_counted_and_floods_dropped() {
        let mut recorder = EventRecorder::default();
        let object = ObjectRef::new(Kind::Rollout, "ns", "r");
        let mut at = |seconds: i64, reason: &str, message: &str| {
            recorder.record(
                Timestamp::from_secs(seconds),
                &object,
                &Event::normal(reason, message),
            )
        };
        assert_eq!(at(0, "A", "x"), EventOutcome::Stored);
        assert_eq!(at(0, "A", "x"), EventOutcome::Counted);
        for count in 2..25 {
            assert_ne!(at(0, "B", &count.to_string()), EventOutcome::Dropped);
        }
        assert_eq!(at(0, "C", "x"), EventOutcome::Dropped);
        assert_eq!(at(301, "D", "x"), EventOutcome::Stored);
        let now = Timestamp::from_secs(301);
        assert_eq!(
            recorder.record(now, &object, &Event::normal("E", "x")),
            EventOutcome::Dropped
        );
        assert_eq!(
            recorder.record(now, &object, &Event::warning("E", "x")),
            EventOutcome::Stored
        );
    }
}
