//! How many independent events come where so many are expected.
//!
//! The number is the sum of the numbers of any parts of what is expected: of its whole part and of
//! its 256ths, and of the rest.

use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution as _, Poisson};

use super::tables::{Table, Tables, as_chance, chance};

/// Units of the tables in one expected event.
const UNITS: f64 = 256.0;
/// So many expected events and more are drawn without tables.
const MANY: f64 = 4096.0;

/// Tables of all Poisson numbers.
#[derive(Debug, Default)]
pub(super) struct Counts(Tables<3>);

impl Counts {
    /// Takes no chance where nothing is expected.
    pub fn draw(&self, random: &mut Xoshiro256PlusPlus, expected: f64) -> f64 {
        if expected <= 0.0 {
            return 0.0;
        }
        if expected < MANY {
            let units = (expected * UNITS) as u32;
            let rest = expected - f64::from(units) / UNITS;
            f64::from(self.0.draw(random, units, table) + few(random, rest))
        } else {
            match Poisson::new(expected) {
                Ok(poisson) => poisson.sample(random),
                Err(_) => 0.0,
            }
        }
    }
}

fn table(units: u32) -> Table {
    let expected = f64::from(units) / UNITS;
    Table::new(expected as u32, |number| expected / f64::from(number + 1))
}

/// Of less than a unit: mostly none.
fn few(random: &mut Xoshiro256PlusPlus, expected: f64) -> u32 {
    let luck = chance(random);
    // At least that chance has 0.
    if luck < as_chance(1.0 - expected) {
        return 0;
    }
    let mut number = 0;
    let mut chance = libm::exp(-expected);
    let mut up_to = chance;
    while luck >= as_chance(up_to) && chance > 0.0 {
        number += 1;
        chance *= expected / f64::from(number);
        up_to += chance;
    }
    number
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _};

    use super::super::tables::tests::{assert_chances, deviation};
    use super::*;

    /// The exact chance of one number after the other.
    fn exact(expected: f64) -> impl Iterator<Item = f64> {
        let most = (expected + 12.0 * expected.sqrt()) as u32 + 20;
        (0..most).map(move |number| {
            let ln_factorial = libm::lgamma(f64::from(number) + 1.0);
            (f64::from(number) * expected.ln() - expected - ln_factorial).exp()
        })
    }

    #[test]
    fn tables_hold_the_exact_chances() {
        for units in [1, 100, 255, 256, 10_000, 65_280, 983_040] {
            assert_chances(&table(units), exact(f64::from(units) / UNITS));
        }
    }

    #[test]
    fn draws_are_of_poisson() {
        let counts = Counts::default();
        // With and without tables, of one digit and of several, with and without a rest.
        for expected in [0.003, 0.3, 1.0, 7.77, 150.25, 1234.5678, 10_000.5] {
            let sigmas = deviation(exact(expected), |random| counts.draw(random, expected));
            assert!(sigmas.abs() < 4.0, "{expected}: {sigmas}");
        }
        let sigmas = deviation(exact(0.9), |random| f64::from(few(random, 0.9)));
        assert!(sigmas.abs() < 4.0, "{sigmas}");
    }

    #[test]
    fn nothing_takes_no_chance() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        assert_eq!(Counts::default().draw(&mut random, 0.0), 0.0);
        let mut untouched = Xoshiro256PlusPlus::seed_from_u64(1);
        assert_eq!(random.random::<u64>(), untouched.random::<u64>());
    }
}
