//! The operators that [`super::tests`] tries, each with a plain reference of what it computes where that is short.

use super::tests::{Case, Reference};
use super::*;
use crate::batch::{Cell, Column};
use crate::interface::ElementType::{self, Bool, Float32, Float64, Int32, Int64, Text};
use crate::native::arithmetic::sklearn;
use crate::native::ensemble::{Aggregate, Branch, Ensemble, FeatureUse, Missing, Node, Precision, Test, Tree, Weight};
use crate::native::image::ImageWriter;
use crate::native::{Classifier, Finish, Function, LabelRule, Labels, Link, PostTransform, Seen};

fn value(element: ElementType, width: usize) -> ValueType {
    ValueType::new(element, width)
}

fn case(
    name: &'static str,
    inputs: &[ValueType],
    outputs: &[ValueType],
    reference: Option<Reference>,
    operator: impl Fn(&mut ImageWriter) -> Operator + 'static,
) -> Case {
    Case { name, operator: Box::new(operator), inputs: inputs.to_vec(), outputs: outputs.to_vec(), reference }
}

/// A reference over the cells of input 0.
macro_rules! reference {
    ($from:ty => $to:ident, $function:expr) => {
        Some(Box::new(|inputs: &[Column]| {
            let cells = <$from as Cell>::cells(&inputs[0]);
            let function: fn(&[$from]) -> Vec<_> = $function;
            Some(Column::$to(function(cells)))
        }) as Reference)
    };
}

/// A reference cell by cell.
macro_rules! each {
    ($from:ty => $to:ident, $function:expr) => {
        reference!($from => $to, |cells| cells.iter().map(|x| $function(*x)).collect())
    };
}

fn unary(name: &'static str, element: ElementType, function: UnaryFunction, reference: Option<Reference>) -> Case {
    let result = function.result(element).unwrap();
    case(name, &[value(element, 5)], &[value(result, 5)], reference, move |_| Unary { function }.into())
}

fn binary(name: &'static str, element: ElementType, function: BinaryFunction, reference: Option<Reference>) -> Case {
    let result = function.result(element).unwrap();
    case(name, &[value(element, 3); 2], &[value(result, 3)], reference, move |_| {
        Binary { function, left: None, right: None }.into()
    })
}

fn reduce(name: &'static str, element: ElementType, reduction: Reduction, reference: Option<Reference>) -> Case {
    let operator = move |_: &mut ImageWriter| Reduce { reduction, size: 3, inner: 2 }.into();
    case(name, &[value(element, 12)], &[value(element, 4)], reference, operator)
}

fn whole(name: &'static str, width: usize, function: RowFunction, reference: Option<Reference>) -> Case {
    let to = function.width(width).unwrap();
    case(name, &[value(Float64, width)], &[value(Float64, to)], reference, move |_| WholeRow { function }.into())
}

fn numbers(count: usize, from: u64) -> Vec<f64> {
    let mut random = crate::random::Random(from);
    (0..count).map(|_| f64::from(random.unit() as f32)).collect()
}

fn linear(element: ElementType, inputs: usize, outputs: usize) -> Case {
    let name = "linear";
    case(name, &[value(element, inputs)], &[value(element, outputs)], None, move |tables| {
        let (weights, bias) = (numbers(inputs * outputs, 1), numbers(outputs, 2));
        Linear::new(element, (inputs, outputs), |i, o| weights[i * outputs + o], &bias, 1.0, tables).into()
    })
}

fn network(inputs: usize, hidden: usize, outputs: usize) -> Case {
    let outputs_of = [value(Float32, outputs), value(Float32, outputs)];
    case("network", &[value(Float32, inputs)], &outputs_of, None, move |tables| {
        let scale = Scale {
            offset: tables.push(&numbers(inputs, 3).iter().map(|x| *x as f32).collect::<Vec<_>>()),
            scale: tables.push(&numbers(inputs, 4).iter().map(|x| *x as f32).collect::<Vec<_>>()),
        };
        let mut layer = |from: usize, to: usize| {
            let weights = numbers(from * to, 5);
            Linear::new(Float32, (from, to), |i, o| weights[i * to + o], &numbers(to, 6), 1.0, tables)
        };
        let (first, second) = (layer(inputs, hidden), layer(hidden, outputs));
        let network = Network::new(Some(&scale), &first).unwrap().with_function(UnaryFunction::HyperbolicTangent);
        let network = network.unwrap().with_layer(&second).unwrap();
        network.with_function(UnaryFunction::Logistic).unwrap().into()
    })
}

/// Two trees over two columns and two targets.
fn ensemble(precision: Precision) -> Ensemble {
    let branch = |feature, test, yes, no| Node::Branch(Branch { feature, test, missing_yes: feature == 0, yes, no });
    let leaf = |target, value| Node::Leaf(vec![Weight { target, value }]);
    let tree = |nodes| Tree { nodes, cover: vec![] };
    let feature = |column, missing| FeatureUse { column, missing };
    Ensemble {
        width: 2,
        features: vec![feature(0, Missing::Nan), feature(1, Missing::Nan)],
        trees: vec![
            tree(vec![
                branch(0, Test::Less(0.5), 1, 2),
                branch(1, Test::LessEqual(-1.0), 3, 4),
                leaf(0, 0.25),
                leaf(1, -1.5),
                leaf(0, 3.0),
            ]),
            tree(vec![branch(1, Test::Member(vec![(0.0, 0.0), (2.0, 2.0)]), 1, 2), leaf(1, 0.125), leaf(0, -0.5)]),
        ],
        targets: 2,
        compared_in: precision,
        added_in: precision,
        aggregate: Aggregate::Sum,
        base: vec![0.5, 0.0],
        base_first: false,
    }
}

fn words() -> Word {
    Word { sets: vec![vec![('a' as u32, 'z' as u32)]], least: 1, most: None, at_boundary: false, shortest: 1 }
}

fn texts(texts: &[&str]) -> Column {
    Column::Text(texts.iter().map(|text| (*text).to_owned()).collect())
}

/// All of them.
pub(super) fn cases() -> Vec<Case> {
    [moved(), of_cells(), of_rows(), of_categories(), of_models()].into_iter().flatten().collect()
}

/// Cells taken as they are.
fn moved() -> Vec<Case> {
    let one = |element, width| [value(element, width)];
    vec![
        case("concat", &[value(Text, 2), value(Text, 1)], &one(Text, 3), None, |_| Concat {}.into()),
        case(
            "gather",
            &one(Float64, 3),
            &one(Float64, 2),
            reference!(f64 => Float64, |x| vec![x[2], x[0]]),
            |tables| Gather { columns: tables.push(&[2u32, 0]) }.into(),
        ),
        case("select", &[value(Bool, 2), value(Int64, 2), value(Int64, 2)], &one(Int64, 2), None, |_| Select {}.into()),
        case("fill", &[], &one(Text, 2), Some(Box::new(|_| Some(texts(&["x", "yy"])))), |tables| {
            Fill { cells: Constants::write(&texts(&["x", "yy"]), tables) }.into()
        }),
        case("cast down", &one(Float64, 3), &one(Float32, 3), each!(f64 => Float32, |x| x as f32), |_| Cast {}.into()),
        case("cast to text", &one(Int64, 2), &one(Text, 2), each!(i64 => Text, |x: i64| x.to_string()), |_| {
            Cast {}.into()
        }),
        case(
            "cast to int",
            &one(Float32, 3),
            &one(Int32, 3),
            // What does not fit is the least integer.
            each!(f32 => Int32, |x: f32| if (-2_147_483_648.0..2_147_483_648.0).contains(&x) { x as i32 } else { i32::MIN }),
            |_| Cast {}.into(),
        ),
        case("upper case", &one(Text, 2), &one(Text, 2), None, |_| {
            Recase { to: super::Case::Upper, ascii: false }.into()
        }),
        case(
            "ascii lower case",
            &one(Text, 1),
            &one(Text, 1),
            reference!(String => Text, |x| vec![x[0].to_ascii_lowercase()]),
            |_| Recase { to: super::Case::Lower, ascii: true }.into(),
        ),
        case("counted words", &one(Text, 1), &one(Float32, 2), reference!(String => Float32, count), |tables| {
            WordCounts::new(words(), &[(&["a"][..], 0), (&["a", "b"][..], 1)], 1, false, tables).unwrap().into()
        }),
        terms(
            "terms",
            Some(Accents::Unicode),
            2,
            reference!(String => Float64, |texts| {
                count(texts).into_iter().map(f64::from).collect()
            }),
        ),
        terms("hashed terms", None, 5, None),
    ]
}

/// "a", and "a" before "b", counted or all terms hashed.
fn terms(name: &'static str, accents: Option<Accents>, width: usize, reference: Option<Reference>) -> Case {
    case(name, &[value(Text, 1)], &[value(Float64, width)], reference, move |tables| {
        let letters = tables.push(&['a' as u32, 'z' as u32]);
        let pattern = Pattern { sets: vec![letters], least: 1, most: None, boundaries: [false; 2], letters };
        let stop_words = Constants::write(&texts(&["unknown"]), tables);
        let Constants::Text(stop_words) = stop_words else { unreachable!() };
        let (analyzer, places) = match accents {
            Some(_) => (Analyzer::Words { pattern, stop_words }, listed_terms(vec![("a b", 1), ("a", 0)], tables)),
            None => (Analyzer::CharactersOfWords, TermPlaces::Hashed { signed: true }),
        };
        Terms { lowercase: false, accents, analyzer, least: 1, most: 2, places, once: false }.into()
    })
}

/// How often "a" stands in a text, and "a" before "b".
fn count(texts: &[String]) -> Vec<f32> {
    let words: Vec<&str> = texts[0].split(|c: char| !c.is_ascii_lowercase()).filter(|word| !word.is_empty()).collect();
    let singles = words.iter().filter(|word| **word == "a").count();
    vec![singles as f32, words.windows(2).filter(|pair| *pair == ["a", "b"]).count() as f32]
}

/// A cell, or two, into one.
fn of_cells() -> Vec<Case> {
    use {BinaryFunction as B, UnaryFunction as U};
    let two = |cells: &[Column]| (f64::cells(&cells[0]).to_vec(), f64::cells(&cells[1]).to_vec());
    let pairs = move |function: fn(f64, f64) -> f64| -> Option<Reference> {
        Some(Box::new(move |inputs| {
            let (a, b) = two(inputs);
            Some(Column::Float64(a.iter().zip(b).map(|(a, b)| function(*a, b)).collect()))
        }))
    };
    let single = |cells: Vec<f64>| Column::Float32(cells.iter().map(|cell| *cell as f32).collect());
    let spread = [value(Float32, 19)];
    vec![
        unary("negate", Float32, U::Negate, each!(f32 => Float32, |x: f32| -x)),
        unary("absolute int", Int64, U::Absolute, each!(i64 => Int64, i64::wrapping_abs)),
        unary("sign", Float64, U::Sign, each!(f64 => Float64, |x: f64| if x == 0.0 { 0.0 } else { x.signum() })),
        unary("root", Float32, U::SquareRoot, each!(f32 => Float32, f32::sqrt)),
        unary("exponential", Float32, U::Exponential, None),
        unary("exponential, double", Float64, U::Exponential, each!(f64 => Float64, f64::exp)),
        unary("logarithm", Float32, U::Logarithm, each!(f32 => Float32, f32::ln)),
        unary("rectify", Float32, U::Rectify, each!(f32 => Float32, |x| if x < 0.0 { 0.0 } else { x })),
        unary("leaky", Float32, U::LeakyRectify(0.1), each!(f32 => Float32, |x| if x < 0.0 { x * 0.1 } else { x })),
        unary("elu", Float32, U::ExponentialLinear(2.0), None),
        unary("logistic", Float32, U::Logistic, None),
        unary("logistic, double", Float64, U::Logistic, each!(f64 => Float64, |x: f64| 1.0 / (1.0 + (-x).exp()))),
        unary("tangent", Float32, U::HyperbolicTangent, None),
        unary("softplus", Float32, U::Softplus, None),
        unary("reciprocal", Float32, U::Reciprocal, each!(f32 => Float32, |x| 1.0 / x)),
        unary("round", Float64, U::Round, each!(f64 => Float64, f64::round_ties_even)),
        unary("floor", Float32, U::Floor, each!(f32 => Float32, f32::floor)),
        unary("is NaN", Float32, U::IsNan, each!(f32 => Bool, f32::is_nan)),
        unary("not", Bool, U::Not, each!(bool => Bool, |x: bool| !x)),
        case("clip", &[value(Float32, 2)], &[value(Float32, 2)], each!(f32 => Float32, clipped), move |tables| {
            Clip { range: Constants::write(&single(vec![-1.0, 2.0]), tables) }.into()
        }),
        binary("add", Float64, B::Add, pairs(|a, b| a + b)),
        binary("subtract int", Int32, B::Subtract, None),
        binary("divide int", Int64, B::Divide, None),
        binary("divide", Float64, B::Divide, pairs(|a, b| a / b)),
        binary("power", Float64, B::Power, None),
        binary("minimum", Float64, B::Minimum, None),
        binary("less", Float32, B::Less, None),
        binary("equal texts", Text, B::Equal, None),
        binary("exclusive or", Bool, B::ExclusiveOr, None),
        case("add a row", &[value(Float32, 3)], &[value(Float32, 3)], None, move |tables| {
            let right = Some(Constants::write(&single(numbers(3, 9)), tables));
            Binary { function: BinaryFunction::Add, left: None, right }.into()
        }),
        case("scale", &spread, &spread, Some(Box::new(scaled)), |tables| {
            let cells = |from| numbers(19, from).iter().map(|x| *x as f32).collect::<Vec<_>>();
            Scale { offset: tables.push(&cells(7)), scale: tables.push(&cells(8)) }.into()
        }),
        case(
            "impute",
            &[value(Float32, 2)],
            &[value(Float32, 2)],
            reference!(f32 => Float32, |x| vec![
                if x[0].is_nan() { 1.5 } else { x[0] },
                if x[1].is_nan() { -2.0 } else { x[1] }
            ]),
            move |tables| {
                let missing = Constants::write(&single(vec![f64::NAN]), tables);
                Impute { missing, replacements: Constants::write(&single(vec![1.5, -2.0]), tables) }.into()
            },
        ),
        case("binarize", &[value(Float32, 2)], &[value(Float32, 2)], Some(Box::new(binarized)), |tables| {
            Binarize { threshold: tables.push(&[0.5f32]) }.into()
        }),
        case("finite", &[value(Float64, 2)], &[value(Float64, 2)], Some(Box::new(finite)), |_| {
            Finite { takes_nan: true, single: true, names: vec!["a".into(), "b".into()] }.into()
        }),
        case("interpolate", &[value(Float64, 1)], &[value(Float64, 1)], None, |tables| {
            Interpolate::new(&[(vec![-1.0, 0.0, 0.0, 2.0], vec![0.0, 1.0, 2.0, 1e300])], Beyond::Nan, tables).into()
        }),
        case("bins", &[value(Float64, 1)], &[value(Float64, 1)], each!(f64 => Float64, bin), |tables| {
            Columnwise::new(ColumnFunction::Bin, &[vec![-1.0, 0.0, 0.5]], tables).into()
        }),
        case("yeo-johnson", &[value(Float64, 2)], &[value(Float64, 2)], None, |tables| {
            Columnwise::new(ColumnFunction::YeoJohnson, &[vec![0.0], vec![1.3]], tables).into()
        }),
        case("box-cox", &[value(Float64, 2)], &[value(Float64, 2)], None, |tables| {
            Columnwise::new(ColumnFunction::BoxCox, &[vec![0.0], vec![0.7]], tables).into()
        }),
    ]
}

fn clipped(x: f32) -> f32 {
    if x.is_nan() { x } else { x.clamp(-1.0, 2.0) }
}

fn bin(x: f64) -> f64 {
    // NaN is at or above no edge.
    [-1.0, 0.0, 0.5].iter().filter(|edge| **edge <= x).count() as f64
}

fn scaled(inputs: &[Column]) -> Option<Column> {
    let (offsets, scales) = (numbers(19, 7), numbers(19, 8));
    let cells = f32::cells(&inputs[0]).iter().zip(offsets.iter().zip(&scales));
    Some(Column::Float32(cells.map(|(x, (offset, scale))| (x - *offset as f32) * *scale as f32).collect()))
}

fn binarized(inputs: &[Column]) -> Option<Column> {
    let cells = f32::cells(&inputs[0]);
    let result = cells.iter().map(|x| if *x > 0.5 { 1.0 } else { 0.0 }).collect();
    (!cells.iter().any(|x| x.is_nan())).then_some(Column::Float32(result))
}

fn finite(inputs: &[Column]) -> Option<Column> {
    let allowed = |x: &f64| x.is_nan() || (*x as f32).is_finite();
    f64::cells(&inputs[0]).iter().all(allowed).then(|| inputs[0].clone())
}

/// Cells of a row that depend on each other.
fn of_rows() -> Vec<Case> {
    use Reduction as R;
    let of_groups = |f: fn(f32, f32) -> f32| -> Option<Reference> {
        Some(Box::new(move |inputs| {
            let x = f32::cells(&inputs[0]);
            let group = |first: usize| f(f(x[first], x[first + 2]), x[first + 4]);
            Some(Column::Float32([0, 1, 6, 7].map(group).to_vec()))
        }))
    };
    let soft = |element, logarithm| {
        case("softmax", &[value(element, 6)], &[value(element, 6)], None, move |_| {
            Softmax { size: 3, logarithm }.into()
        })
    };
    let normalize =
        |norm| case("normalize", &[value(Float32, 3)], &[value(Float32, 3)], None, move |_| Normalize { norm }.into());
    vec![
        reduce("sum", Float32, R::Sum, of_groups(|a, b| a + b)),
        reduce("product", Float32, R::Product, of_groups(|a, b| a * b)),
        reduce("mean", Float64, R::Mean, None),
        reduce("maximum", Float32, R::Maximum, of_groups(|a, b| if b > a || b.is_nan() { b } else { a })),
        reduce("minimum int", Int64, R::Minimum, None),
        reduce("l1", Int32, R::L1, None),
        reduce("l2", Float32, R::L2, None),
        reduce("sum of squares", Float64, R::SumOfSquares, None),
        reduce("log of the sum of exponentials", Float32, R::LogSumExp, None),
        case("argmax", &[value(Float32, 3)], &[value(Int64, 1)], reference!(f32 => Int64, first_greatest), |_| {
            ArgExtreme { greatest: true, last: false, size: 3, inner: 1 }.into()
        }),
        soft(Float32, false),
        soft(Float32, true),
        soft(Float64, false),
        soft(Float64, true),
        normalize(Norm::Max),
        normalize(Norm::L1),
        normalize(Norm::L2),
        case("term weights", &[value(Float64, 3)], &[value(Float64, 3)], None, |tables| {
            let rarity = Some(tables.push(&numbers(3, 20)));
            TermWeights { sublinear: true, rarity, norm: Some(Norm::L2) }.into()
        }),
        case("monomials", &[value(Float64, 3)], &[value(Float64, 3)], reference!(f64 => Float64, products), |tables| {
            Monomials::new(&[vec![], vec![0, 2], vec![1, 1, 0]], tables).into()
        }),
        whole("numpy's sum", 17, RowFunction::Sum, reference!(f64 => Float64, |x| vec![sklearn::sum(x)])),
        whole("shares", 9, RowFunction::Shares { or_even: true }, None),
        whole("scikit-learn's softmax", 9, RowFunction::Softmax, None),
        whole("difference", 2, RowFunction::Difference, reference!(f64 => Float64, |x| vec![-x[0] + x[1]])),
        whole("complement", 1, RowFunction::Complement, reference!(f64 => Float64, |x| vec![1.0 - x[0], x[0]])),
        whole("isolation", 1, RowFunction::Isolation { all: 3.0, offset: 0.5 }, None),
        whole("posteriors", 9, RowFunction::Posteriors, None),
        whole("centred", 9, RowFunction::Centred, None),
        whole("normal quantile", 3, RowFunction::Each(Elementary::NormalQuantile), None),
        case("weighted median", &[value(Float64, 4)], &[value(Float64, 1)], None, |tables| {
            WeightedMedian { weights: tables.push(&[0.5, 1.0, 0.25, 2.0]) }.into()
        }),
        case("splines", &[value(Float64, 2)], &[value(Float64, 6)], None, |tables| {
            let knots: Vec<f64> = (0..2).flat_map(|_| (-3..=4).map(f64::from)).collect();
            let identity = (0..16).map(|at| f64::from(u8::from(at / 4 == at % 4))).collect::<Vec<f64>>();
            let cells = tables.push(&[identity.clone(), identity].concat());
            let knots = tables.push(&knots);
            Splines { degree: 3, beyond: Continuation::Linear, count: 4, leaves_last: true, knots, cells }.into()
        }),
        whole("sine", 3, RowFunction::Each(Elementary::Sine), each!(f64 => Float64, f64::sin)),
        case("squared distances", &[value(Float32, 3)], &[value(Float32, 18)], Some(Box::new(squares)), |tables| {
            let points: Vec<f32> = numbers(54, 10).iter().map(|x| *x as f32).collect();
            Distances::new(&points, 3, DistanceFunction::Squared, tables).into()
        }),
        case("gaussian distances", &[value(Float32, 3)], &[value(Float32, 2)], None, |tables| {
            let points: Vec<f32> = numbers(6, 10).iter().map(|x| *x as f32).collect();
            Distances::new(&points, 3, DistanceFunction::Gaussian(0.3), tables).into()
        }),
        case("kernels", &[value(Float64, 3)], &[value(Float64, 2)], None, |tables| {
            Kernels { kernel: Kernel::Radial { gamma: 0.5 }, vectors: tables.push(&numbers(6, 11)) }.into()
        }),
    ]
}

fn first_greatest(x: &[f32]) -> Vec<i64> {
    vec![(1..x.len()).fold(0, |best, at| if x[at] > x[best] { at } else { best }) as i64]
}

fn products(x: &[f64]) -> Vec<f64> {
    vec![1.0, x[0] * x[2], x[1] * x[1] * x[0]]
}

fn squares(inputs: &[Column]) -> Option<Column> {
    let (x, points) = (f32::cells(&inputs[0]), numbers(54, 10));
    let square =
        |point: &[f64]| x.iter().zip(point).fold(0.0f32, |sum, (x, p)| sum + (x - *p as f32) * (x - *p as f32));
    Some(Column::Float32(points.chunks(3).map(square).collect()))
}

/// Categories.
fn of_categories() -> Vec<Case> {
    let one_hot = |unknown, reference| {
        case("one-hot", &[value(Text, 1)], &[value(Float32, 2)], reference, move |tables| {
            OneHot::new(&texts(&["b", "a"]), unknown, tables).into()
        })
    };
    let encoding = |name: &str, unknown, cells: Vec<f64>, width| Encoding {
        name: name.into(),
        categories: vec![(2.0, Becomes::Place(1)), (-0.0, Becomes::Place(0)), (1.0, Becomes::Zeros)],
        missing: Becomes::Refused,
        unknown,
        width,
        cells,
    };
    vec![
        one_hot(Unknown::Zeros, reference!(String => Float32, |x| hot(&x[0]).to_vec())),
        one_hot(
            Unknown::Refused,
            Some(Box::new(|inputs| {
                let hot = hot(&String::cells(&inputs[0])[0]);
                (hot != [0.0; 2]).then(|| Column::Float32(hot.to_vec()))
            })),
        ),
        case("lookup", &[value(Float32, 2)], &[value(Text, 2)], each!(f32 => Text, looked_up), |tables| {
            let keys = Column::Float32(vec![0.0, f32::NAN, 1.0]);
            Lookup::new(&keys, &texts(&["zero", "none", "one", "other"]), tables).into()
        }),
        case("pick", &[value(Int64, 1)], &[value(Float64, 2)], Some(Box::new(picked)), |tables| {
            Pick { cells: Constants::write(&Column::Float64(vec![1.0, 2.0, 3.0, 4.0]), tables), width: 2 }.into()
        }),
        case("encode", &[value(Float64, 2)], &[value(Float64, 3)], None, move |tables| {
            let columns =
                [encoding("a", Becomes::Refused, vec![], 2), encoding("b", Becomes::Zeros, vec![0.25, 0.75], 1)];
            Encode::new(&columns, tables).into()
        }),
    ]
}

fn hot(text: &str) -> [f32; 2] {
    [f32::from(text == "b"), f32::from(text == "a")]
}

fn looked_up(x: f32) -> String {
    match x {
        0.0 => "zero",
        1.0 => "one",
        _ if x.is_nan() => "none",
        _ => "other",
    }
    .to_owned()
}

fn picked(inputs: &[Column]) -> Option<Column> {
    match i64::cells(&inputs[0])[0] {
        0 | -2 => Some(Column::Float64(vec![1.0, 2.0])),
        1 | -1 => Some(Column::Float64(vec![3.0, 4.0])),
        _ => None,
    }
}

/// Whole estimators.
fn of_models() -> Vec<Case> {
    let pairs = |pairing: fn(&mut ImageWriter) -> Pairing| {
        case("pairs", &[value(Float64, 3)], &[value(Float64, 3)], None, move |tables| {
            Pairs { classes: 3, pairing: pairing(tables) }.into()
        })
    };
    let machines = |classes: usize, platt: bool| {
        let pairs = classes * (classes - 1) / 2;
        let outputs = [value(Int64, 1), value(Float32, Machines::width(classes, platt))];
        case("machines", &[value(Float32, 2 * classes)], &outputs, None, move |tables| {
            let cells = |count, from| numbers(count, from).iter().map(|x| *x as f32).collect::<Vec<_>>();
            let (slopes, summands) = (cells(pairs, 14), cells(pairs, 15));
            let platt = platt.then_some([&slopes[..], &summands[..]]);
            let coefficients = cells(2 * classes * (classes - 1), 12);
            Machines::new(&vec![2; classes], &coefficients, &cells(pairs, 13), platt, tables).into()
        })
    };
    let trained = |precision: Precision, link: Link, reference| {
        let number = if precision == Precision::Single { Float32 } else { Float64 };
        let outputs = [value(number, 2), value(Int64, 1)];
        let count = 1 + usize::from(link.label != LabelRule::None);
        case("trained", &[value(number, 2)], &outputs[..count], reference, move |tables| {
            Trained::compile(&ensemble(precision), link.clone(), tables).unwrap().into()
        })
    };
    let plain = Link::new(Function::Identity, LabelRule::None);
    let trees = |post_transform: PostTransform| {
        case("trees", &[value(Float32, 2)], &[value(Text, 1), value(Float32, 2)], None, move |tables| {
            let labels = Labels::Text(vec!["no".into(), "yes".into()]);
            let classifier = Classifier { labels, base: vec![], one_column: false, positive: false };
            let seen = Seen::Known(vec![true; 2]);
            let finish = Finish { width: 2, seen, post_transform, classifier: Some(classifier) };
            Trees::compile(&ensemble(Precision::Single), finish, Float32, tables).unwrap().into()
        })
    };
    let neighbours = |metric, by_distance| {
        case("neighbours", &[value(Float64, 2)], &[value(Float64, 2)], None, move |tables| {
            let (points, targets) = (tables.push(&numbers(20, 16)), tables.push(&numbers(20, 17)));
            Neighbours { metric, count: 3, by_distance, points, targets }.into()
        })
    };
    vec![
        linear(Float32, 19, 1),
        linear(Float32, 5, 3),
        linear(Float32, 33, 18),
        linear(Float64, 19, 2),
        linear(Float64, 5, 9),
        network(19, 17, 3),
        network(4, 2, 9),
        pairs(|_| Pairing::Votes),
        pairs(|_| Pairing::Decisions),
        pairs(|tables| Pairing::Probabilities {
            slopes: tables.push(&numbers(3, 18)),
            offsets: tables.push(&numbers(3, 19)),
        }),
        machines(2, false),
        machines(3, false),
        machines(3, true),
        trained(
            Precision::Single,
            plain.clone(),
            reference!(f32 => Float32, |x| {
                let row: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
                ensemble(Precision::Single).sums(&row).iter().map(|sum| *sum as f32).collect()
            }),
        ),
        trained(Precision::Double, plain, reference!(f64 => Float64, |x| ensemble(Precision::Double).sums(x))),
        trained(Precision::Single, Link::new(Function::Softmax, LabelRule::GreatestSum), None),
        trained(Precision::Double, Link::new(Function::Logistic { coefficient: 0.7 }, LabelRule::Greatest), None),
        trees(PostTransform::None),
        trees(PostTransform::Softmax),
        trees(PostTransform::SoftmaxZero),
        trees(PostTransform::Logistic),
        trees(PostTransform::Probit),
        neighbours(Metric::Euclidean, true),
        neighbours(Metric::Minkowski(3.0), false),
        neighbours(Metric::Cosine, false),
        case("donors", &[value(Float64, 2)], &[value(Float64, 2)], None, |tables| {
            let points: Vec<f64> = numbers(20, 21).into_iter().map(|x| if x < 0.1 { f64::NAN } else { x }).collect();
            let (points, means) = (tables.push(&points), tables.push(&[0.25, 0.75]));
            Donors { count: 3, by_distance: true, points, means }.into()
        }),
        case("outliers", &[value(Float64, 2)], &[value(Float64, 1)], None, |tables| {
            let [points, reach, densities] =
                [(20, 22), (10, 23), (10, 24)].map(|(count, from)| tables.push(&numbers(count, from)));
            Outliers { metric: Metric::Euclidean, count: 3, points, reach, densities }.into()
        }),
    ]
}
