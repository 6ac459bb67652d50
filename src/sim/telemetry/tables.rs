//! Whole numbers of a distribution, drawn by looking up.

use std::sync::OnceLock;

use rand::Rng as _;
use rand::rngs::Xoshiro256PlusPlus;

const DIGIT_BITS: u32 = u8::BITS;
/// Parts of the greatest chance that are too small to be met in 53 bits.
const NEGLIGIBLE: f64 = 1e-20;
/// Bits of a random number that decide: those that the chances are exact to.
const CHANCE_BITS: u32 = 53;

/// Numbers that add up: that of an extent is the sum of those of any parts of it, each drawn for
/// itself. The parts are the digits of the extent to the base of 256, so that a few tables serve
/// all extents.
///
/// Tables depend on the distribution alone, so that all runs share them; they are made when first
/// needed.
#[derive(Debug)]
pub(super) struct Tables<const DIGITS: usize> {
    /// By digit, from the lowest, and its value.
    by_digit: [OnceLock<Box<OfDigit>>; DIGITS],
}

/// By the value of a digit.
type OfDigit = [OnceLock<Table>; 1 << DIGIT_BITS];

impl<const DIGITS: usize> Default for Tables<DIGITS> {
    fn default() -> Self {
        Self {
            by_digit: std::array::from_fn(|_| OnceLock::new()),
        }
    }
}

impl<const DIGITS: usize> Tables<DIGITS> {
    /// Draws the number of an extent; `table` makes that of a part of it.
    #[inline]
    pub fn draw(
        &self,
        random: &mut Xoshiro256PlusPlus,
        extent: u32,
        table: impl Fn(u32) -> Table,
    ) -> u32 {
        // Most extents have one digit, and most tables are there.
        match self.of_one_digit(extent) {
            Some(table) => table.find(chance(random)),
            None => self.draw_by_digits(random, extent, table),
        }
    }

    #[inline]
    fn of_one_digit(&self, extent: u32) -> Option<&Table> {
        let tables = self.by_digit.first()?.get()?;
        tables.get(extent as usize)?.get()
    }

    #[inline(never)]
    fn draw_by_digits(
        &self,
        random: &mut Xoshiro256PlusPlus,
        extent: u32,
        table: impl Fn(u32) -> Table,
    ) -> u32 {
        let mut drawn = 0;
        for (place, tables) in (0..).zip(&self.by_digit) {
            let shift = DIGIT_BITS * place;
            let digit = (extent >> shift) as u8;
            if digit > 0 {
                let tables =
                    tables.get_or_init(|| Box::new(std::array::from_fn(|_| OnceLock::new())));
                let of_digit = &tables[usize::from(digit)];
                let table = of_digit.get_or_init(|| table(u32::from(digit) << shift));
                drawn += table.find(chance(random));
            }
        }
        drawn
    }
}

/// A random number below [`as_chance`] of 1.
#[inline]
pub(super) fn chance(random: &mut Xoshiro256PlusPlus) -> u64 {
    random.next_u64() >> (u64::BITS - CHANCE_BITS)
}

/// A chance from 0 to 1 as the number of the random numbers that meet it.
pub(super) fn as_chance(chance: f64) -> u64 {
    (chance * (1_u64 << CHANCE_BITS) as f64) as u64
}

/// A distribution of whole numbers.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// The least number whose chance is not negligible.
    least: u32,
    /// The chance of this or a lower number, of one number after the other.
    up_to: Box<[u64]>,
    /// Where in `up_to` to begin, for equal parts of the chances.
    starts: Box<[u16]>,
    /// Bits of a chance beside those that tell its part.
    part_bits: u32,
}

impl Table {
    /// Of the number with the greatest chance, and how much greater the chance of the next number
    /// is than that of a number: 0 at the last one.
    pub fn new(most_likely: u32, chance_above: impl Fn(u32) -> f64) -> Self {
        // As parts of the greatest chance.
        let mut chances = vec![1.0];
        let mut chance = 1.0;
        for number in (0..most_likely).rev() {
            chance /= chance_above(number);
            if chance < NEGLIGIBLE {
                break;
            }
            chances.push(chance);
        }
        let least = most_likely + 1 - chances.len() as u32;
        chances.reverse();
        chance = 1.0;
        for number in most_likely.. {
            chance *= chance_above(number);
            if chance < NEGLIGIBLE {
                break;
            }
            chances.push(chance);
        }
        let total: f64 = chances.iter().sum();
        let mut sum = 0.0;
        let mut up_to: Box<[u64]> = chances
            .iter()
            .map(|chance| {
                sum += chance / total;
                as_chance(sum)
            })
            .collect();
        // Whatever is left by rounding.
        if let Some(last) = up_to.last_mut() {
            *last = u64::MAX;
        }
        let parts = up_to.len().next_power_of_two();
        let part_bits = CHANCE_BITS - parts.ilog2();
        let mut start = 0;
        let starts = (0..parts as u64).map(|part| {
            while (up_to.get(start)).is_some_and(|up_to| *up_to <= part << part_bits) {
                start += 1;
            }
            start as u16
        });
        Self {
            least,
            starts: starts.collect(),
            part_bits,
            up_to,
        }
    }

    /// The number for a random one, see [`chance`].
    #[inline]
    fn find(&self, chance: u64) -> u32 {
        let part = (chance >> self.part_bits) as usize;
        let mut at = self.starts.get(part).map_or(0, |start| usize::from(*start));
        while self.up_to.get(at).is_some_and(|up_to| *up_to <= chance) {
            at += 1;
        }
        self.least + at as u32
    }
}

#[cfg(test)]
pub(super) mod tests {
    use rand::SeedableRng as _;

    use super::*;

    /// Compares a table with the exact chances of 0 and of one number after the other.
    pub fn assert_chances(table: &Table, exact: impl Iterator<Item = f64>) {
        let mut below = 0.0;
        for (number, exact) in exact.enumerate() {
            below += exact;
            let up_to = match number.checked_sub(table.least as usize) {
                None => 0.0,
                Some(at) => table.up_to.get(at).map_or(1.0, |up_to| {
                    (*up_to).min(as_chance(1.0)) as f64 / as_chance(1.0) as f64
                }),
            };
            assert!((up_to - below).abs() < 1e-11, "{number}: {up_to} {below}");
        }
    }

    /// By how many standard deviations chi squared of draws is beside what is expected of the
    /// exact chances of 0 and of one number after the other.
    pub fn deviation(
        exact: impl Iterator<Item = f64>,
        mut draw: impl FnMut(&mut Xoshiro256PlusPlus) -> f64,
    ) -> f64 {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        let draws = 40_000;
        let expected: Vec<f64> = exact.map(|chance| chance * f64::from(draws)).collect();
        let mut found = vec![0.0; expected.len()];
        for _ in 0..draws {
            found[draw(&mut random) as usize] += 1.0;
        }
        // Over classes of at least ten.
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
        (squares - (classes - 1.0)) / (2.0_f64 * classes).sqrt()
    }

    #[test]
    fn looking_up_finds_where_a_chance_falls() {
        for weights in [&[1.0, 3.0, 0.5, 2.0, 1e-15, 4.0][..], &[1.0], &[1e-9, 1.0]] {
            let table = Table::new(0, |at| {
                let at = at as usize;
                weights.get(at + 1).map_or(0.0, |next| next / weights[at])
            });
            for chance in (0..10_000).map(|part| as_chance(f64::from(part) / 10_000.0)) {
                let plain = table.up_to.partition_point(|up_to| *up_to <= chance);
                assert_eq!(table.find(chance), table.least + plain as u32);
            }
        }
    }
}
