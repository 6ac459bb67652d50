//! Binomial numbers of one share and ever changing numbers of trials, drawn by looking up.
//!
//! How many of some trials hit is the sum of how many of any parts of them do. The parts are the
//! hexadecimal digits of the number of trials, so that a few tables serve all numbers.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Binomial, Distribution as _};

const DIGIT_BITS: usize = 4;
const DIGIT_VALUES: usize = 1 << DIGIT_BITS;
/// Numbers of more digits are drawn without tables.
const DIGITS: usize = 3;
/// Parts of the greatest chance that are too small to be met in 53 bits.
const NEGLIGIBLE: f64 = 1e-20;

/// A share of all trials, for drawing how many of some are of it.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub share: f64,
    /// By digit, from the lowest, and its value; made when first needed.
    tables: [Vec<Option<Table>>; DIGITS],
}

impl Part {
    /// Shares below 0 or above 1 are taken for these.
    pub fn new(share: f64) -> Self {
        Self {
            share,
            tables: Default::default(),
        }
    }

    /// How many of a whole number of trials are of this share. Takes no chance where there is none.
    pub fn draw(&mut self, random: &mut ChaCha8Rng, trials: f64) -> f64 {
        if self.share >= 1.0 {
            return trials;
        }
        if self.share <= 0.0 {
            return 0.0;
        }
        let trials = trials as u64;
        if trials >> (DIGITS * DIGIT_BITS) > 0 {
            return match Binomial::new(trials, self.share) {
                Ok(binomial) => binomial.sample(random) as f64,
                Err(_) => 0.0,
            };
        }
        let mut left = trials as usize;
        let mut scale = 1;
        let mut hits = 0;
        for of_digit in &mut self.tables {
            let value = left % DIGIT_VALUES;
            if value > 0 {
                if of_digit.is_empty() {
                    of_digit.resize(DIGIT_VALUES, None);
                }
                if let Some(table) = of_digit.get_mut(value) {
                    let share = self.share;
                    let table = table.get_or_insert_with(|| Table::new(value * scale, share));
                    hits += table.find(random.random());
                }
            }
            left /= DIGIT_VALUES;
            if left == 0 {
                break;
            }
            scale *= DIGIT_VALUES;
        }
        hits as f64
    }
}

/// The distribution of a binomial number.
#[derive(Debug, Clone)]
struct Table {
    /// The least number whose chance is not negligible.
    least: usize,
    /// The chance of this or a lower number, of one number after the other.
    up_to: Vec<f64>,
    /// Where in `up_to` to begin, for equal parts of the chances.
    starts: Vec<u16>,
}

impl Table {
    /// Of several trials and a share between 0 and 1.
    fn new(trials: usize, share: f64) -> Self {
        let odds = share / (1.0 - share);
        // As parts of the chance of the most likely number.
        let chance_above = |number: usize| (trials - number) as f64 / (number + 1) as f64 * odds;
        let most_likely = (((trials + 1) as f64 * share) as usize).min(trials);
        let mut chances = vec![1.0];
        let mut chance = 1.0;
        for number in (0..most_likely).rev() {
            chance /= chance_above(number);
            if chance < NEGLIGIBLE {
                break;
            }
            chances.push(chance);
        }
        let least = most_likely + 1 - chances.len();
        chances.reverse();
        chance = 1.0;
        for number in most_likely..trials {
            chance *= chance_above(number);
            if chance < NEGLIGIBLE {
                break;
            }
            chances.push(chance);
        }
        let total: f64 = chances.iter().sum();
        let mut sum = 0.0;
        let mut up_to = chances;
        for chance in &mut up_to {
            sum += *chance / total;
            *chance = sum;
        }
        // Whatever is left by rounding.
        if let Some(last) = up_to.last_mut() {
            *last = f64::INFINITY;
        }
        let parts = up_to.len();
        let mut start = 0;
        let starts = (0..parts).map(|part| {
            let chance = part as f64 / parts as f64;
            while up_to.get(start).is_some_and(|up_to| *up_to <= chance) {
                start += 1;
            }
            start as u16
        });
        Self {
            least,
            starts: starts.collect(),
            up_to,
        }
    }

    /// The number for a chance, from 0 to below 1.
    fn find(&self, chance: f64) -> usize {
        let part = (chance * self.starts.len() as f64) as usize;
        let start = self.starts.get(part).map_or(0, |start| usize::from(*start));
        let later = self.up_to.get(start..).unwrap_or_default();
        let passed = later.iter().take_while(|up_to| **up_to <= chance);
        self.least + start + passed.count()
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    /// The exact chance of a number.
    fn exact(trials: u32, share: f64, number: u32) -> f64 {
        let ln_factorial = |n: u32| libm::lgamma(f64::from(n) + 1.0);
        let ln_choose = ln_factorial(trials) - ln_factorial(number) - ln_factorial(trials - number);
        let (hits, rest) = (f64::from(number), f64::from(trials - number));
        (ln_choose + hits * share.ln() + rest * (-share).ln_1p()).exp()
    }

    #[test]
    fn tables_hold_the_exact_chances() {
        for (trials, share) in [
            (1, 0.3),
            (15, 0.02),
            (15, 1e-9),
            (16, 0.999),
            (240, 0.45),
            (3840, 0.004),
            (3840, 0.5),
        ] {
            let table = Table::new(trials as usize, share);
            let mut below = 0.0;
            for number in 0..=trials {
                let chance = exact(trials, share, number);
                let at = (number as usize).checked_sub(table.least);
                let up_to = match at {
                    None => 0.0,
                    Some(at) => table.up_to.get(at).map_or(1.0, |up_to| up_to.min(1.0)),
                };
                below += chance;
                assert!(
                    (up_to - below).abs() < 1e-11,
                    "{trials} {share} {number}: {up_to} {below}"
                );
            }
        }
    }

    #[test]
    fn a_number_is_found_from_anywhere() {
        let table = Table::new(48, 0.2);
        for part in 0..10_000 {
            let chance = f64::from(part) / 10_000.0;
            let plain = table.up_to.partition_point(|up_to| *up_to <= chance);
            assert_eq!(table.find(chance), table.least + plain);
        }
    }

    #[test]
    fn draws_are_binomial() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        // With and without tables, of one digit and of several.
        for (trials, share) in [(7, 0.4), (150, 0.45), (1234, 0.02), (10_000, 0.3)] {
            let mut part = Part::new(share);
            let draws = 40_000;
            let expected: Vec<f64> = (0..=trials)
                .map(|number| exact(trials, share, number) * f64::from(draws))
                .collect();
            let mut found = vec![0.0; expected.len()];
            for _ in 0..draws {
                found[part.draw(&mut random, f64::from(trials)) as usize] += 1.0;
            }
            // Chi squared over classes of at least ten.
            let (mut squares, mut classes) = (0.0, 0.0);
            let mut class = (0.0, 0.0);
            for (expected, found) in expected.iter().zip(&found) {
                class = (class.0 + expected, class.1 + found);
                if class.0 >= 10.0 {
                    squares += (class.1 - class.0).powi(2) / class.0;
                    classes += 1.0;
                    class = (0.0, 0.0);
                }
            }
            let sigmas = (squares - (classes - 1.0)) / (2.0_f64 * classes).sqrt();
            assert!(sigmas.abs() < 4.0, "{trials} {share}: {squares} {classes}");
        }
    }

    #[test]
    fn certainty_takes_no_chance() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        assert_eq!(Part::new(1.0).draw(&mut random, 12.0), 12.0);
        assert_eq!(Part::new(0.0).draw(&mut random, 12.0), 0.0);
        assert_eq!(Part::new(0.5).draw(&mut random, 0.0), 0.0);
        let mut untouched = ChaCha8Rng::seed_from_u64(1);
        assert_eq!(random.random::<u64>(), untouched.random::<u64>());
    }
}
