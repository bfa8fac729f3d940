//! Which class is compiled by what: the one table of names.

use e2i_core::{Error, Kind, Result};

use super::answer::Answer;
use super::{Compiler, Table};
use crate::node::Node;

/// How a transformer is compiled.
type Transform = fn(&mut Compiler, Node<'_>, &Table) -> Result<Table>;

/// How an estimator that predicts is compiled.
type Predict = fn(&mut Compiler, Node<'_>, &Table) -> Result<Answer>;

/// Transformers, by package and class.
const TRANSFORMERS: &[(&str, &str, Transform)] = &[
    ("sklearn", "Binarizer", Compiler::binarizer),
    ("sklearn", "ColumnTransformer", Compiler::column_transformer),
    ("sklearn", "CountVectorizer", Compiler::count_vectorizer),
    ("sklearn", "FeatureUnion", Compiler::feature_union),
    ("sklearn", "FunctionTransformer", Compiler::function_transformer),
    ("sklearn", "GenericUnivariateSelect", Compiler::selector),
    ("sklearn", "HashingVectorizer", Compiler::hashing_vectorizer),
    ("sklearn", "IncrementalPCA", Compiler::projection),
    ("sklearn", "KBinsDiscretizer", Compiler::discretizer),
    ("sklearn", "KNNImputer", Compiler::neighbours_imputer),
    ("sklearn", "LabelBinarizer", Compiler::label_binarizer),
    ("sklearn", "LabelEncoder", Compiler::label_encoder),
    ("sklearn", "MaxAbsScaler", Compiler::max_abs_scaler),
    ("sklearn", "MinMaxScaler", Compiler::min_max_scaler),
    ("sklearn", "MissingIndicator", Compiler::missing_indicator),
    ("sklearn", "Normalizer", Compiler::normalizer),
    ("sklearn", "OneHotEncoder", Compiler::one_hot_encoder),
    ("sklearn", "OrdinalEncoder", Compiler::ordinal_encoder),
    ("sklearn", "PCA", Compiler::projection),
    ("sklearn", "PolynomialFeatures", Compiler::polynomial_features),
    ("sklearn", "PowerTransformer", Compiler::power_transformer),
    ("sklearn", "QuantileTransformer", Compiler::quantile_transformer),
    ("sklearn", "RobustScaler", Compiler::robust_scaler),
    ("sklearn", "SelectFdr", Compiler::selector),
    ("sklearn", "SelectFpr", Compiler::selector),
    ("sklearn", "SelectFromModel", Compiler::select_from_model),
    ("sklearn", "SelectFwe", Compiler::selector),
    ("sklearn", "SelectKBest", Compiler::selector),
    ("sklearn", "SelectPercentile", Compiler::selector),
    ("sklearn", "SequentialFeatureSelector", Compiler::selector),
    ("sklearn", "SimpleImputer", Compiler::simple_imputer),
    ("sklearn", "SplineTransformer", Compiler::spline_transformer),
    ("sklearn", "StandardScaler", Compiler::standard_scaler),
    ("sklearn", "TargetEncoder", Compiler::target_encoder),
    ("sklearn", "TfidfTransformer", Compiler::tfidf_transformer),
    ("sklearn", "TfidfVectorizer", Compiler::tfidf_vectorizer),
    ("sklearn", "TruncatedSVD", Compiler::projection),
    ("sklearn", "VarianceThreshold", Compiler::selector),
];

/// Estimators that predict.
const PREDICTORS: &[(&str, &str, Predict)] = &[
    ("lightgbm", "LGBMClassifier", Compiler::lightgbm),
    ("lightgbm", "LGBMRanker", Compiler::lightgbm),
    ("lightgbm", "LGBMRegressor", Compiler::lightgbm),
    ("sklearn", "ARDRegression", Compiler::linear_regressor),
    ("sklearn", "AdaBoostClassifier", Compiler::ada_boost_classifier),
    ("sklearn", "AdaBoostRegressor", Compiler::ada_boost_regressor),
    ("sklearn", "BaggingClassifier", Compiler::bagging),
    ("sklearn", "BaggingRegressor", Compiler::bagging),
    ("sklearn", "BayesianGaussianMixture", Compiler::mixture),
    ("sklearn", "BayesianRidge", Compiler::linear_regressor),
    ("sklearn", "BernoulliNB", Compiler::discrete_bayes),
    ("sklearn", "CalibratedClassifierCV", Compiler::calibrated),
    ("sklearn", "CategoricalNB", Compiler::categorical_bayes),
    ("sklearn", "ClassifierChain", Compiler::chain),
    ("sklearn", "ComplementNB", Compiler::discrete_bayes),
    ("sklearn", "DecisionTreeClassifier", Compiler::tree_classifier),
    ("sklearn", "DecisionTreeRegressor", Compiler::tree_regressor),
    ("sklearn", "DummyClassifier", Compiler::dummy_classifier),
    ("sklearn", "DummyRegressor", Compiler::dummy_regressor),
    ("sklearn", "ElasticNet", Compiler::linear_regressor),
    ("sklearn", "ElasticNetCV", Compiler::linear_regressor),
    ("sklearn", "ExtraTreeClassifier", Compiler::tree_classifier),
    ("sklearn", "ExtraTreeRegressor", Compiler::tree_regressor),
    ("sklearn", "ExtraTreesClassifier", Compiler::forest_classifier),
    ("sklearn", "ExtraTreesRegressor", Compiler::forest_regressor),
    ("sklearn", "FixedThresholdClassifier", Compiler::thresholded),
    ("sklearn", "FrozenEstimator", Compiler::frozen),
    ("sklearn", "GammaRegressor", Compiler::generalized_linear),
    ("sklearn", "GaussianMixture", Compiler::mixture),
    ("sklearn", "GaussianNB", Compiler::gaussian_bayes),
    ("sklearn", "GaussianProcessClassifier", Compiler::gaussian_process_classifier),
    ("sklearn", "GaussianProcessRegressor", Compiler::gaussian_process_regressor),
    ("sklearn", "GradientBoostingClassifier", Compiler::gradient_boosting_classifier),
    ("sklearn", "GradientBoostingRegressor", Compiler::gradient_boosting_regressor),
    ("sklearn", "GridSearchCV", Compiler::search),
    ("sklearn", "HalvingGridSearchCV", Compiler::search),
    ("sklearn", "HalvingRandomSearchCV", Compiler::search),
    ("sklearn", "HistGradientBoostingClassifier", Compiler::hist_classifier),
    ("sklearn", "HistGradientBoostingRegressor", Compiler::hist_regressor),
    ("sklearn", "HuberRegressor", Compiler::linear_regressor),
    ("sklearn", "IsolationForest", Compiler::isolation_forest),
    ("sklearn", "IsotonicRegression", Compiler::isotonic_regression),
    ("sklearn", "KMeans", Compiler::k_means),
    ("sklearn", "KNeighborsClassifier", Compiler::neighbours_classifier),
    ("sklearn", "KNeighborsRegressor", Compiler::neighbours_regressor),
    ("sklearn", "Lars", Compiler::linear_regressor),
    ("sklearn", "LarsCV", Compiler::linear_regressor),
    ("sklearn", "Lasso", Compiler::linear_regressor),
    ("sklearn", "LassoCV", Compiler::linear_regressor),
    ("sklearn", "LassoLars", Compiler::linear_regressor),
    ("sklearn", "LassoLarsCV", Compiler::linear_regressor),
    ("sklearn", "LassoLarsIC", Compiler::linear_regressor),
    ("sklearn", "LinearDiscriminantAnalysis", Compiler::discriminant_analysis),
    ("sklearn", "LinearRegression", Compiler::linear_regressor),
    ("sklearn", "LinearSVC", Compiler::linear_classifier),
    ("sklearn", "LinearSVR", Compiler::linear_regressor),
    ("sklearn", "LocalOutlierFactor", Compiler::local_outliers),
    ("sklearn", "LogisticRegression", Compiler::logistic_regression),
    ("sklearn", "LogisticRegressionCV", Compiler::logistic_regression),
    ("sklearn", "MLPClassifier", Compiler::mlp_classifier),
    ("sklearn", "MLPRegressor", Compiler::mlp_regressor),
    ("sklearn", "MiniBatchKMeans", Compiler::k_means),
    ("sklearn", "MultiOutputClassifier", Compiler::multi_output_classifier),
    ("sklearn", "MultiOutputRegressor", Compiler::multi_output),
    ("sklearn", "MultiTaskElasticNet", Compiler::linear_regressor),
    ("sklearn", "MultiTaskElasticNetCV", Compiler::linear_regressor),
    ("sklearn", "MultiTaskLasso", Compiler::linear_regressor),
    ("sklearn", "MultiTaskLassoCV", Compiler::linear_regressor),
    ("sklearn", "MultinomialNB", Compiler::discrete_bayes),
    ("sklearn", "NuSVC", Compiler::support_vector_classifier),
    ("sklearn", "NuSVR", Compiler::support_vector_regressor),
    ("sklearn", "OneClassSVM", Compiler::one_class),
    ("sklearn", "OneVsOneClassifier", Compiler::one_vs_one),
    ("sklearn", "OneVsRestClassifier", Compiler::one_vs_rest),
    ("sklearn", "OrthogonalMatchingPursuit", Compiler::linear_regressor),
    ("sklearn", "OrthogonalMatchingPursuitCV", Compiler::linear_regressor),
    ("sklearn", "OutputCodeClassifier", Compiler::output_code),
    ("sklearn", "PassiveAggressiveClassifier", Compiler::linear_classifier),
    ("sklearn", "PassiveAggressiveRegressor", Compiler::linear_regressor),
    ("sklearn", "Perceptron", Compiler::linear_classifier),
    ("sklearn", "PoissonRegressor", Compiler::generalized_linear),
    ("sklearn", "QuadraticDiscriminantAnalysis", Compiler::quadratic_discriminant),
    ("sklearn", "QuantileRegressor", Compiler::linear_regressor),
    ("sklearn", "RANSACRegressor", Compiler::inner_estimator),
    ("sklearn", "RFE", Compiler::selected),
    ("sklearn", "RFECV", Compiler::selected),
    ("sklearn", "RandomForestClassifier", Compiler::forest_classifier),
    ("sklearn", "RandomForestRegressor", Compiler::forest_regressor),
    ("sklearn", "RandomizedSearchCV", Compiler::search),
    ("sklearn", "RegressorChain", Compiler::chain),
    ("sklearn", "Ridge", Compiler::linear_regressor),
    ("sklearn", "RidgeCV", Compiler::linear_regressor),
    ("sklearn", "RidgeClassifier", Compiler::linear_classifier),
    ("sklearn", "RidgeClassifierCV", Compiler::linear_classifier),
    ("sklearn", "SGDClassifier", Compiler::sgd_classifier),
    ("sklearn", "SGDOneClassSVM", Compiler::linear_one_class),
    ("sklearn", "SGDRegressor", Compiler::linear_regressor),
    ("sklearn", "SVC", Compiler::support_vector_classifier),
    ("sklearn", "SVR", Compiler::support_vector_regressor),
    ("sklearn", "StackingClassifier", Compiler::stacking_classifier),
    ("sklearn", "StackingRegressor", Compiler::stacking_regressor),
    ("sklearn", "TheilSenRegressor", Compiler::linear_regressor),
    ("sklearn", "TransformedTargetRegressor", Compiler::transformed_target),
    ("sklearn", "TunedThresholdClassifierCV", Compiler::thresholded),
    ("sklearn", "TweedieRegressor", Compiler::generalized_linear),
    ("sklearn", "VotingClassifier", Compiler::voting_classifier),
    ("sklearn", "VotingRegressor", Compiler::voting_regressor),
    ("sklearn", "_ConstantPredictor", Compiler::constant_predictor),
    ("sklearn", "_BinaryGaussianProcessClassifierLaplace", Compiler::binary_process),
    ("xgboost", "XGBClassifier", Compiler::xgboost),
    ("xgboost", "XGBRFClassifier", Compiler::xgboost),
    ("xgboost", "XGBRFRegressor", Compiler::xgboost),
    ("xgboost", "XGBRanker", Compiler::xgboost),
    ("xgboost", "XGBRegressor", Compiler::xgboost),
];

/// Estimators that predict where they are the last step, and transform before it.
const BOTH: &[(&str, &str, Transform)] = &[
    ("sklearn", "FrozenEstimator", Compiler::frozen_transform),
    ("sklearn", "GridSearchCV", Compiler::search_transform),
    ("sklearn", "HalvingGridSearchCV", Compiler::search_transform),
    ("sklearn", "HalvingRandomSearchCV", Compiler::search_transform),
    ("sklearn", "KMeans", Compiler::k_means_transform),
    ("sklearn", "LinearDiscriminantAnalysis", Compiler::discriminant_transform),
    ("sklearn", "MiniBatchKMeans", Compiler::k_means_transform),
    ("sklearn", "RFE", Compiler::selector),
    ("sklearn", "RFECV", Compiler::selector),
    ("sklearn", "RandomizedSearchCV", Compiler::search_transform),
];

/// What is known, for messages.
fn known() -> String {
    let transformers = TRANSFORMERS.iter().map(|(_, class, _)| *class);
    let mut names: Vec<&str> =
        transformers.chain(PREDICTORS.iter().map(|(_, class, _)| *class)).chain(["Pipeline"]).collect();
    // What other classes are made of has no name that anybody knows.
    names.retain(|name| !name.starts_with('_'));
    names.sort_unstable();
    names.join(", ")
}

#[cold]
fn unknown(node: Node<'_>) -> Error {
    let what = match (node.loader(), node.class()) {
        ("ObjectNode", class) => format!("the class {class} of {} is not read", node.module()),
        (loader, class) => format!("a {loader} {class:?} stands where an estimator is expected"),
    };
    Error::new(Kind::Unsupported, what).with_detail(format!("Read are {}.", known())).with_hint(
        "Convert the model where it was trained instead: skl2onnx.to_onnx(model, X).SerializeToString() makes an ONNX model.",
    )
}

/// Whether a node is imbalanced-learn's pipeline or scikit-learn's.
fn is_pipeline(node: Node<'_>) -> bool {
    node.class() == "Pipeline" && (node.is_of("sklearn") || node.is_of("imblearn"))
}

impl Compiler {
    /// Whether a step does nothing at prediction: left out, or a sampler of imbalanced-learn.
    pub(super) fn is_skipped(node: Node<'_>) -> bool {
        let text = node.text().unwrap_or_default();
        node.is_none()
            || text == "passthrough"
            || (node.is_of("imblearn") && node.class() != "Pipeline" && node.attribute("sampling_strategy").is_some())
    }

    /// What a transformer makes of a table.
    pub(crate) fn transform(&mut self, name: &str, node: Node<'_>, table: &Table) -> Result<Table> {
        match self.answered(name, node, table, true)? {
            Answer::Table(table) => Ok(table),
            _ => Err(Error::new(
                Kind::BadModel,
                format!("step {name:?} ({}) is no transformer where one is expected", node.class()),
            )),
        }
    }

    /// What an estimator answers to a table.
    pub(crate) fn answer(&mut self, name: &str, node: Node<'_>, table: &Table) -> Result<Answer> {
        self.answered(name, node, table, false)
    }

    /// Likewise; one that does both `transforms`, or predicts.
    fn answered(&mut self, name: &str, node: Node<'_>, table: &Table, transforms: bool) -> Result<Answer> {
        self.within(name, node, |compiler| {
            if is_pipeline(node) {
                return compiler.pipeline(node, table, transforms);
            }
            super::check_width(node, table)?;
            let is = |(package, class): (&str, &str)| node.class() == class && node.is_of(package);
            if node.loader() == "ObjectNode" {
                if let Some((.., transform)) = TRANSFORMERS.iter().find(|(package, class, _)| is((package, class))) {
                    return transform(compiler, node, table).map(Answer::Table);
                }
                if let Some((.., transform)) =
                    BOTH.iter().find(|(package, class, _)| transforms && is((package, class)))
                {
                    return transform(compiler, node, table).map(Answer::Table);
                }
                if let Some((.., predict)) = PREDICTORS.iter().find(|(package, class, _)| is((package, class))) {
                    return predict(compiler, node, table);
                }
            }
            Err(unknown(node))
        })
    }

    /// One step after the other.
    fn pipeline(&mut self, node: Node<'_>, table: &Table, transforms: bool) -> Result<Answer> {
        let mut table = table.clone();
        let steps = node.get("steps")?.items()?;
        let last = steps.len().saturating_sub(1);
        for (index, step) in steps.into_iter().enumerate() {
            let [name, estimator] = step.items()?[..] else { return Err(super::misshapen("its steps")) };
            if Self::is_skipped(estimator) {
                continue;
            }
            let name = name.text()?;
            match self.answered(&name, estimator, &table, transforms || index < last)? {
                Answer::Table(next) => table = next,
                answer if index == last => return Ok(answer),
                _ => {
                    return Err(Error::new(
                        Kind::BadModel,
                        format!("step {name:?} ({}) is no transformer where one is expected", estimator.class()),
                    ));
                }
            }
        }
        Ok(Answer::Table(table))
    }
}
