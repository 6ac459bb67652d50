//! What an evaluation may use up. Conditions come from manifests: none may hang or fill the memory.

/// Elements that an evaluation may allocate, as in the reference.
const MAX_ELEMENTS: u64 = 1_000_000;
/// Bytes of strings and elements, which the reference does not count.
const MAX_BYTES: u64 = 64 << 20;
/// Nodes evaluated, elements compared, blocks of text searched.
const MAX_STEPS: u64 = 20_000_000;
/// Levels of containers in a value that a condition builds.
const MAX_DEPTH: u16 = 512;

/// Bytes of text that count as one step.
const BYTES_PER_STEP: usize = 64;

/// What is used up so far.
#[derive(Default)]
pub struct Budget {
    elements: u64,
    bytes: u64,
    steps: u64,
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

impl Budget {
    /// Counts allocated elements.
    ///
    /// # Errors
    /// Too many of them.
    pub fn elements(&mut self, number: usize) -> Result<(), String> {
        self.elements = self.elements.saturating_add(count(number));
        if self.elements >= MAX_ELEMENTS {
            return Err("memory budget exceeded".to_owned());
        }
        Ok(())
    }

    /// Counts allocated bytes.
    ///
    /// # Errors
    /// Too many of them.
    pub fn bytes(&mut self, number: usize) -> Result<(), String> {
        self.bytes = self.bytes.saturating_add(count(number));
        if self.bytes >= MAX_BYTES {
            return Err("memory budget exceeded".to_owned());
        }
        Ok(())
    }

    /// Counts elements that only we count.
    ///
    /// # Errors
    /// Too many of them.
    pub fn cells(&mut self, number: usize) -> Result<(), String> {
        self.bytes(number.saturating_mul(size_of::<super::value::Value>()))
    }

    /// Counts work.
    ///
    /// # Errors
    /// Too much of it.
    pub fn steps(&mut self, number: u64) -> Result<(), String> {
        self.steps = self.steps.saturating_add(number);
        if self.steps >= MAX_STEPS {
            return Err("step budget exceeded".to_owned());
        }
        Ok(())
    }

    /// Counts looking through `number` elements.
    ///
    /// # Errors
    /// Too much work.
    pub fn items(&mut self, number: usize) -> Result<(), String> {
        self.steps(count(number))
    }

    /// Counts reading through `number` bytes of text.
    ///
    /// # Errors
    /// Too much work.
    pub fn text(&mut self, number: usize) -> Result<(), String> {
        self.steps(count(number / BYTES_PER_STEP))
    }

    /// Checks how deeply a new value nests.
    ///
    /// # Errors
    /// Too deeply.
    pub fn depth(&self, depth: u16) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err("recursion depth exceeded".to_owned());
        }
        Ok(())
    }
}
