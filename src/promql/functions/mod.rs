//! The functions: their signatures, and one file a family for what they compute.

pub mod date;
pub(crate) mod elementwise;
pub(crate) mod label_functions;
pub(crate) mod ordering;
pub(crate) mod over_time;
pub(crate) mod quantile;
pub(crate) mod rate;

use super::ast::ValueType;
use ValueType::{Matrix as M, Scalar as S, String as T, Vector as V};

/// A function's signature.
#[derive(Debug)]
pub struct Function {
    pub id: FunctionId,
    pub name: &'static str,
    /// Types of the arguments; the last one repeats if `variadic` is not 0.
    pub args: &'static [ValueType],
    /// 0: exactly the arguments listed; n > 0: the last one may be given 0 to n times;
    /// -1: any number of times.
    pub variadic: i8,
    pub returns: ValueType,
    /// Needs a feature flag on a stock server.
    pub experimental: bool,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

macro_rules! functions {
    ($($id:ident $name:literal ($($arg:expr),*) $variadic:literal -> $returns:expr, $experimental:literal;)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum FunctionId { $($id),* }

        /// All functions, sorted by name.
        pub static FUNCTIONS: &[Function] = &[
            $(Function {
                id: FunctionId::$id,
                name: $name,
                args: &[$($arg),*],
                variadic: $variadic,
                returns: $returns,
                experimental: $experimental,
            }),*
        ];
    };
}

functions! {
    Abs "abs" (V) 0 -> V, false;
    Absent "absent" (V) 0 -> V, false;
    AbsentOverTime "absent_over_time" (M) 0 -> V, false;
    Acos "acos" (V) 0 -> V, false;
    Acosh "acosh" (V) 0 -> V, false;
    Asin "asin" (V) 0 -> V, false;
    Asinh "asinh" (V) 0 -> V, false;
    Atan "atan" (V) 0 -> V, false;
    Atanh "atanh" (V) 0 -> V, false;
    AvgOverTime "avg_over_time" (M) 0 -> V, false;
    Ceil "ceil" (V) 0 -> V, false;
    Changes "changes" (M) 0 -> V, false;
    Clamp "clamp" (V, S, S) 0 -> V, false;
    ClampMax "clamp_max" (V, S) 0 -> V, false;
    ClampMin "clamp_min" (V, S) 0 -> V, false;
    Cos "cos" (V) 0 -> V, false;
    Cosh "cosh" (V) 0 -> V, false;
    CountOverTime "count_over_time" (M) 0 -> V, false;
    DayOfMonth "day_of_month" (V) 1 -> V, false;
    DayOfWeek "day_of_week" (V) 1 -> V, false;
    DayOfYear "day_of_year" (V) 1 -> V, false;
    DaysInMonth "days_in_month" (V) 1 -> V, false;
    Deg "deg" (V) 0 -> V, false;
    Delta "delta" (M) 0 -> V, false;
    Deriv "deriv" (M) 0 -> V, false;
    DoubleExponentialSmoothing "double_exponential_smoothing" (M, S, S) 0 -> V, true;
    End "end" () 0 -> S, true;
    Exp "exp" (V) 0 -> V, false;
    FirstOverTime "first_over_time" (M) 0 -> V, false;
    Floor "floor" (V) 0 -> V, false;
    HistogramAvg "histogram_avg" (V) 0 -> V, false;
    HistogramCount "histogram_count" (V) 0 -> V, false;
    HistogramFraction "histogram_fraction" (S, S, V) 0 -> V, false;
    HistogramQuantile "histogram_quantile" (S, V) 0 -> V, false;
    HistogramQuantiles "histogram_quantiles" (V, T, S, S) 9 -> V, true;
    HistogramStddev "histogram_stddev" (V) 0 -> V, false;
    HistogramStdvar "histogram_stdvar" (V) 0 -> V, false;
    HistogramSum "histogram_sum" (V) 0 -> V, false;
    Hour "hour" (V) 1 -> V, false;
    Idelta "idelta" (M) 0 -> V, false;
    Increase "increase" (M) 0 -> V, false;
    Info "info" (V, V) 1 -> V, true;
    Irate "irate" (M) 0 -> V, false;
    LabelJoin "label_join" (V, T, T, T) -1 -> V, false;
    LabelReplace "label_replace" (V, T, T, T, T) 0 -> V, false;
    LastOverTime "last_over_time" (M) 0 -> V, false;
    Ln "ln" (V) 0 -> V, false;
    Log10 "log10" (V) 0 -> V, false;
    Log2 "log2" (V) 0 -> V, false;
    MadOverTime "mad_over_time" (M) 0 -> V, true;
    MaxOf "max_of" (S, S) 0 -> S, true;
    MaxOverTime "max_over_time" (M) 0 -> V, false;
    MinOf "min_of" (S, S) 0 -> S, true;
    MinOverTime "min_over_time" (M) 0 -> V, false;
    Minute "minute" (V) 1 -> V, false;
    Month "month" (V) 1 -> V, false;
    Pi "pi" () 0 -> S, false;
    PredictLinear "predict_linear" (M, S) 0 -> V, false;
    PresentOverTime "present_over_time" (M) 0 -> V, false;
    QuantileOverTime "quantile_over_time" (S, M) 0 -> V, false;
    Rad "rad" (V) 0 -> V, false;
    Range "range" () 0 -> S, true;
    Rate "rate" (M) 0 -> V, false;
    Resets "resets" (M) 0 -> V, false;
    Round "round" (V, S) 1 -> V, false;
    Scalar "scalar" (V) 0 -> S, false;
    Sgn "sgn" (V) 0 -> V, false;
    Sin "sin" (V) 0 -> V, false;
    Sinh "sinh" (V) 0 -> V, false;
    Sort "sort" (V) 0 -> V, false;
    SortByLabel "sort_by_label" (V, T) -1 -> V, true;
    SortByLabelDesc "sort_by_label_desc" (V, T) -1 -> V, true;
    SortDesc "sort_desc" (V) 0 -> V, false;
    Sqrt "sqrt" (V) 0 -> V, false;
    Start "start" () 0 -> S, true;
    StartTimestamp "start_timestamp" (V) 0 -> V, true;
    StddevOverTime "stddev_over_time" (M) 0 -> V, false;
    StdvarOverTime "stdvar_over_time" (M) 0 -> V, false;
    Step "step" () 0 -> S, true;
    SumOverTime "sum_over_time" (M) 0 -> V, false;
    Tan "tan" (V) 0 -> V, false;
    Tanh "tanh" (V) 0 -> V, false;
    Time "time" () 0 -> S, false;
    Timestamp "timestamp" (V) 0 -> V, false;
    TsOfFirstOverTime "ts_of_first_over_time" (M) 0 -> V, true;
    TsOfLastOverTime "ts_of_last_over_time" (M) 0 -> V, true;
    TsOfMaxOverTime "ts_of_max_over_time" (M) 0 -> V, true;
    TsOfMinOverTime "ts_of_min_over_time" (M) 0 -> V, true;
    Vector "vector" (S) 0 -> V, false;
    Year "year" (V) 1 -> V, false;
}

/// The function of that exact name.
pub fn lookup(name: &str) -> Option<&'static Function> {
    FUNCTIONS
        .binary_search_by(|function| function.name.cmp(name))
        .ok()
        .and_then(|index| FUNCTIONS.get(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(FUNCTIONS.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert!(
            FUNCTIONS
                .iter()
                .all(|function| lookup(function.name) == Some(function))
        );
    }
}
