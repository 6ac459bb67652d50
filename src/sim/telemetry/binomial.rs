//! Binomial numbers of one share and ever changing numbers of trials.
//!
//! How many of some trials hit is the sum of how many of any parts of them do.

use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Binomial, Distribution as _};

use super::tables::{Table, Tables};

/// So many trials and more are drawn without tables.
const MANY: f64 = 4096.0;

/// A share of all trials, for drawing how many of some are of it.
#[derive(Debug)]
pub(super) struct Part {
    pub share: f64,
    tables: Tables<2>,
}

impl Part {
    /// Shares below 0 or above 1 are taken for these.
    pub fn new(share: f64) -> Self {
        Self {
            share,
            tables: Tables::default(),
        }
    }

    /// How many of a whole number of trials are of this share. Takes no chance where there is none.
    #[inline]
    pub fn draw(&self, random: &mut Xoshiro256PlusPlus, trials: f64) -> f64 {
        let share = self.share;
        if share >= 1.0 {
            return trials;
        }
        if share <= 0.0 {
            return 0.0;
        }
        if trials < MANY {
            let table = |trials| table(trials, share);
            f64::from(self.tables.draw(random, trials as u32, table))
        } else {
            many(random, trials, share)
        }
    }
}

#[cold]
#[inline(never)]
fn many(random: &mut Xoshiro256PlusPlus, trials: f64, share: f64) -> f64 {
    match Binomial::new(trials as u64, share) {
        Ok(binomial) => binomial.sample(random) as f64,
        Err(_) => 0.0,
    }
}

/// Of several trials and a share between 0 and 1.
fn table(trials: u32, share: f64) -> Table {
    let odds = share / (1.0 - share);
    let most_likely = ((f64::from(trials + 1) * share) as u32).min(trials);
    Table::new(most_likely, |number| {
        f64::from(trials - number) / f64::from(number + 1) * odds
    })
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _};

    use super::super::tables::tests::{assert_chances, deviation};
    use super::*;

    /// The exact chance of one number after the other.
    fn exact(trials: u32, share: f64) -> impl Iterator<Item = f64> {
        let ln_factorial = |n: u32| libm::lgamma(f64::from(n) + 1.0);
        (0..=trials).map(move |number| {
            let ln_choose =
                ln_factorial(trials) - ln_factorial(number) - ln_factorial(trials - number);
            let (hits, rest) = (f64::from(number), f64::from(trials - number));
            (ln_choose + hits * share.ln() + rest * (-share).ln_1p()).exp()
        })
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
            assert_chances(&table(trials, share), exact(trials, share));
        }
    }

    #[test]
    fn draws_are_binomial() {
        // With and without tables, of one digit and of several.
        for (trials, share) in [(7, 0.4), (150, 0.45), (1234, 0.02), (10_000, 0.3)] {
            let part = Part::new(share);
            let draw = |random: &mut _| part.draw(random, f64::from(trials));
            let sigmas = deviation(exact(trials, share), draw);
            assert!(sigmas.abs() < 4.0, "{trials} {share}: {sigmas}");
        }
    }

    #[test]
    fn certainty_takes_no_chance() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        assert_eq!(Part::new(1.0).draw(&mut random, 12.0), 12.0);
        assert_eq!(Part::new(0.0).draw(&mut random, 12.0), 0.0);
        assert_eq!(Part::new(0.5).draw(&mut random, 0.0), 0.0);
        let mut untouched = Xoshiro256PlusPlus::seed_from_u64(1);
        assert_eq!(random.random::<u64>(), untouched.random::<u64>());
    }
}
