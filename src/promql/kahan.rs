//! Compensated (Kahan-Babuska-Neumaier) summation, as Prometheus sums.

/// Adds `value` to the running `(sum, compensation)`. An infinite sum drops the compensation.
pub fn add(value: f64, sum: f64, compensation: f64) -> (f64, f64) {
    let total = sum + value;
    if total.is_infinite() {
        (total, 0.0)
    } else if sum.abs() >= value.abs() {
        (total, compensation + ((sum - total) + value))
    } else {
        (total, compensation + ((value - total) + sum))
    }
}

/// A running compensated sum.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    pub sum: f64,
    pub compensation: f64,
}

impl Sum {
    pub fn add(&mut self, value: f64) {
        (self.sum, self.compensation) = add(value, self.sum, self.compensation);
    }

    pub fn total(self) -> f64 {
        self.sum + self.compensation
    }
}

/// Adds up floats for a mean. The plain mean of the sum is used while the sum is finite; from
/// there on the mean itself is carried along.
#[derive(Clone, Copy, Debug)]
pub struct Mean {
    sum: f64,
    compensation: f64,
    mean: f64,
    count: f64,
    incremental: bool,
}

impl Mean {
    pub fn new(first: f64) -> Self {
        Self {
            sum: first,
            compensation: 0.0,
            mean: 0.0,
            count: 1.0,
            incremental: false,
        }
    }

    pub fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.incremental {
            let (sum, compensation) = add(value, self.sum, self.compensation);
            if !sum.is_infinite() {
                (self.sum, self.compensation) = (sum, compensation);
                return;
            }
            self.incremental = true;
            self.mean = self.sum / (self.count - 1.0);
            self.compensation /= self.count - 1.0;
        }
        let weight = (self.count - 1.0) / self.count;
        (self.mean, self.compensation) = add(
            value / self.count,
            weight * self.mean,
            weight * self.compensation,
        );
    }

    pub fn value(self) -> f64 {
        if self.incremental {
            self.mean + self.compensation
        } else {
            self.sum / self.count + self.compensation / self.count
        }
    }
}
