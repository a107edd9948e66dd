/**
 * Names that pickles of NumPy, SciPy and pandas values import, one module a line: arrays, scalar and data types, ufuncs, random states,
 * sparse matrices, distributions, frames and indexes. Enumerated from NumPy 2.4, SciPy and pandas 3.0, with the module names of older
 * releases where they moved. None of them reads a file or calls what it is handed; those that do (numpy.load, pandas.read_*) are denied.
 */
export const NUMERIC: string = `
numpy abs absolute acos acosh add amax amin arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin array asarray asin asinh atan atan2 atanh bitwise_and bitwise_count bitwise_invert bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor bool bool8 bool_ byte bytes0 bytes_ cbrt cdouble ceil character clongdouble complex complex128 complex256 complex64 complex_ complexfloating conj conjugate copysign cos cosh csingle datetime64 deg2rad degrees divide divmod double dtype equal exp exp2 expm1 fabs flexible float float128 float16 float32 float64 float_ float_power floating floor floor_divide fmax fmin fmod frexp gcd generic greater greater_equal half heaviside hypot inexact inf int int0 int16 int32 int64 int8 int_ intc integer intp invert isfinite isinf isnan isnat lcm ldexp left_shift less less_equal log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not logical_or logical_xor long longdouble longlong matmul matrix matvec max maximum mean median min minimum mod modf multiply nan nanmean nanmedian ndarray negative nextafter not_equal number object object0 object_ poly1d positive pow power prod rad2deg radians recarray reciprocal record remainder right_shift rint short sign signbit signedinteger sin single sinh spacing sqrt square std str str0 str_ string_ subtract sum tan tanh timedelta64 true_divide trunc ubyte uint uint16 uint32 uint64 uint8 uintc uintp ulong ulonglong unicode unicode_ unsignedinteger ushort var vecdot vecmat vectorize void void0
numpy._core _DType_reconstruct _ufunc_reconstruct
numpy._core._internal _reconstruct _convert_to_stringdtype_kwargs
numpy._core._multiarray_umath _reconstruct scalar
numpy._core.defchararray chararray
numpy._core.multiarray _reconstruct scalar
numpy._core.numeric _frombuffer
numpy._core.records recarray record
numpy.char chararray
numpy.core _DType_reconstruct _ufunc_reconstruct
numpy.core._internal _reconstruct
numpy.core._multiarray_umath _reconstruct scalar
numpy.core.defchararray chararray
numpy.core.multiarray _reconstruct scalar
numpy.core.numeric _frombuffer
numpy.core.records recarray record
numpy.dtypes BoolDType ByteDType BytesDType CLongDoubleDType Complex128DType Complex64DType DateTime64DType Float16DType Float32DType Float64DType Int16DType Int32DType Int64DType Int8DType IntDType LongDType LongDoubleDType LongLongDType ObjectDType ShortDType StrDType StringDType TimeDelta64DType UByteDType UInt16DType UInt32DType UInt64DType UInt8DType UIntDType ULongDType ULongLongDType UShortDType VoidDType
numpy.lib._function_base_impl vectorize
numpy.lib._polynomial_impl poly1d
numpy.lib.function_base vectorize
numpy.lib.polynomial poly1d
numpy.ma MaskedArray
numpy.ma.core MaskedArray MaskedConstant _mareconstruct mvoid
numpy.matrixlib.defmatrix matrix
numpy.polynomial.chebyshev Chebyshev
numpy.polynomial.hermite Hermite
numpy.polynomial.hermite_e HermiteE
numpy.polynomial.laguerre Laguerre
numpy.polynomial.legendre Legendre
numpy.polynomial.polynomial Polynomial
numpy.random Generator RandomState __RandomState_ctor
numpy.random._bit_generator SeedSequence __pyx_unpickle_SeedSequence
numpy.random._generator Generator
numpy.random._mt19937 MT19937
numpy.random._pcg64 PCG64 PCG64DXSM
numpy.random._philox Philox
numpy.random._pickle __bit_generator_ctor __generator_ctor __randomstate_ctor
numpy.random._sfc64 SFC64
numpy.random.bit_generator SeedSequence SeedlessSeedSequence __pyx_unpickle_SeedSequence __pyx_unpickle_SeedlessSequence
numpy.random.mtrand RandomState __RandomState_ctor
numpy.rec recarray record
pandas ArrowDtype BooleanDtype Categorical CategoricalDtype CategoricalIndex DataFrame DatetimeIndex DatetimeTZDtype Flags Float32Dtype Float64Dtype Float64Index Index Int16Dtype Int32Dtype Int64Dtype Int64Index Int8Dtype Interval IntervalDtype IntervalIndex MultiIndex NA NaT Period PeriodDtype PeriodIndex RangeIndex Series SparseDtype StringDtype Timedelta TimedeltaIndex Timestamp UInt16Dtype UInt32Dtype UInt64Dtype UInt64Index UInt8Dtype
pandas._libs.arrays NDArrayBacked __pyx_unpickle_NDArrayBacked
pandas._libs.index Int64Engine ObjectEngine
pandas._libs.internals BlockPlacement __pyx_unpickle_BlockPlacement _unpickle_block
pandas._libs.interval Interval IntervalMixin
pandas._libs.missing NA NAType
pandas._libs.sparse BlockIndex IntIndex
pandas._libs.tslibs.nattype NaTType __nat_unpickle _nat_unpickle
pandas._libs.tslibs.offsets BDay BusinessDay DateOffset Day Hour Micro Milli Minute MonthBegin MonthEnd Nano QuarterEnd Second Week YearEnd BHalfYearBegin BHalfYearEnd BMonthBegin BMonthEnd BQuarterBegin BQuarterEnd BYearBegin BYearEnd BaseOffset BusinessHour BusinessMixin BusinessMonthBegin BusinessMonthEnd CBMonthBegin CBMonthEnd CDay CustomBusinessDay CustomBusinessHour CustomBusinessMonthBegin CustomBusinessMonthEnd Easter FY5253 FY5253Mixin FY5253Quarter HalfYearBegin HalfYearEnd HalfYearOffset LastWeekOfMonth MonthOffset QuarterBegin QuarterOffset RelativeDeltaOffset SemiMonthBegin SemiMonthEnd SemiMonthOffset SingleConstructorOffset Tick WeekOfMonth WeekOfMonthMixin YearBegin YearOffset
pandas._libs.tslibs.period Period
pandas._libs.tslibs.timedeltas Timedelta _timedelta_unpickle
pandas._libs.tslibs.timestamps Timestamp _unpickle_timestamp
pandas.arrays ArrowExtensionArray ArrowStringArray BooleanArray Categorical DatetimeArray FloatingArray IntegerArray IntervalArray NumpyExtensionArray PandasArray PeriodArray SparseArray StringArray TimedeltaArray
pandas.core.arrays.arrow.array ArrowExtensionArray
pandas.core.arrays.boolean BooleanArray BooleanDtype
pandas.core.arrays.categorical Categorical
pandas.core.arrays.datetimes DatetimeArray
pandas.core.arrays.floating Float32Dtype Float64Dtype FloatingArray
pandas.core.arrays.integer Int16Dtype Int32Dtype Int64Dtype Int8Dtype IntegerArray UInt16Dtype UInt32Dtype UInt64Dtype UInt8Dtype
pandas.core.arrays.interval IntervalArray
pandas.core.arrays.numpy_ NumpyExtensionArray PandasArray
pandas.core.arrays.period PeriodArray period_array
pandas.core.arrays.sparse.array SparseArray
pandas.core.arrays.string_ StringArray StringDtype
pandas.core.arrays.string_arrow ArrowStringArray ArrowStringArrayNumpySemantics
pandas.core.arrays.timedeltas TimedeltaArray
pandas.core.dtypes.dtypes ArrowDtype CategoricalDtype CategoricalDtypeType DatetimeTZDtype IntervalDtype NumpyEADtype PandasDtype PeriodDtype SparseDtype
pandas.core.flags Flags
pandas.core.frame DataFrame
pandas.core.index Index _new_Index
pandas.core.indexes.base Index _new_Index
pandas.core.indexes.category CategoricalIndex
pandas.core.indexes.datetimes DatetimeIndex _new_DatetimeIndex
pandas.core.indexes.frozen FrozenList
pandas.core.indexes.interval IntervalIndex _new_IntervalIndex
pandas.core.indexes.multi MultiIndex
pandas.core.indexes.numeric Float64Index Int64Index NumericIndex UInt64Index
pandas.core.indexes.period PeriodIndex _new_PeriodIndex
pandas.core.indexes.range RangeIndex
pandas.core.indexes.timedeltas TimedeltaIndex
pandas.core.internals BlockManager SingleBlockManager
pandas.core.internals.array_manager ArrayManager SingleArrayManager
pandas.core.internals.blocks Block BoolBlock CategoricalBlock DatetimeLikeBlock DatetimeTZBlock ExtensionBlock FloatBlock IntBlock NumericBlock NumpyBlock ObjectBlock _unpickle_block new_block
pandas.core.internals.managers BlockManager SingleBlockManager
pandas.core.series Series
pandas.indexes.base Index _new_Index
pandas.indexes.numeric Float64Index Int64Index
pandas.indexes.range RangeIndex
pandas.tseries.holiday AbstractHolidayCalendar USFederalHolidayCalendar Holiday
pandas.tseries.offsets BDay BusinessDay DateOffset Day Hour Micro Milli Minute MonthBegin MonthEnd Nano QuarterEnd Second Week YearEnd BHalfYearBegin BHalfYearEnd BMonthBegin BMonthEnd BQuarterBegin BQuarterEnd BYearBegin BYearEnd BaseOffset BusinessHour BusinessMixin BusinessMonthBegin BusinessMonthEnd CBMonthBegin CBMonthEnd CDay CustomBusinessDay CustomBusinessHour CustomBusinessMonthBegin CustomBusinessMonthEnd Easter FY5253 FY5253Mixin FY5253Quarter HalfYearBegin HalfYearEnd HalfYearOffset LastWeekOfMonth MonthOffset QuarterBegin QuarterOffset RelativeDeltaOffset SemiMonthBegin SemiMonthEnd SemiMonthOffset SingleConstructorOffset Tick WeekOfMonth WeekOfMonthMixin YearBegin YearOffset
scipy._lib.array_api_compat.numpy._aliases asarray
scipy.cluster.hierarchy ClusterNode
scipy.integrate._ivp.common OdeSolution
scipy.integrate._ivp.ivp OdeResult
scipy.integrate._ivp.rk Dop853DenseOutput RkDenseOutput
scipy.interpolate._bary_rational AAA FloaterHormannInterpolator
scipy.interpolate._bsplines BSpline
scipy.interpolate._cubic Akima1DInterpolator CubicHermiteSpline CubicSpline PchipInterpolator pchip
scipy.interpolate._fitpack2 BivariateSpline InterpolatedUnivariateSpline LSQBivariateSpline LSQSphereBivariateSpline LSQUnivariateSpline RectBivariateSpline RectSphereBivariateSpline SmoothBivariateSpline SmoothSphereBivariateSpline UnivariateSpline
scipy.interpolate._interpnd CloughTocher2DInterpolator LinearNDInterpolator
scipy.interpolate._interpolate BPoly NdPPoly PPoly interp1d interp2d
scipy.interpolate._ndbspline NdBSpline
scipy.interpolate._ndgriddata NearestNDInterpolator
scipy.interpolate._polyint BarycentricInterpolator KroghInterpolator
scipy.interpolate._rbf Rbf
scipy.interpolate._rbfinterp RBFInterpolator
scipy.interpolate._rgi RegularGridInterpolator
scipy.interpolate.fitpack2 InterpolatedUnivariateSpline LSQUnivariateSpline RectBivariateSpline SmoothBivariateSpline UnivariateSpline
scipy.interpolate.interpolate interp1d
scipy.interpolate.ndgriddata NearestNDInterpolator
scipy.interpolate.rbf Rbf
scipy.optimize._constraints Bounds LinearConstraint NonlinearConstraint
scipy.optimize._hessian_update_strategy BFGS HessianUpdateStrategy SR1
scipy.optimize._lbfgsb_py LbfgsInvHessProduct
scipy.optimize._nonlin BroydenFirst InverseJacobian KrylovJacobian
scipy.optimize._optimize OptimizeResult
scipy.optimize._zeros_py RootResults
scipy.optimize.optimize OptimizeResult
scipy.signal._ltisys LinearTimeInvariant StateSpace StateSpaceContinuous StateSpaceDiscrete TransferFunction TransferFunctionContinuous TransferFunctionDiscrete ZerosPolesGain ZerosPolesGainContinuous ZerosPolesGainDiscrete dlti lti
scipy.signal.ltisys StateSpace TransferFunction ZerosPolesGain dlti lti StateSpaceContinuous StateSpaceDiscrete TransferFunctionContinuous TransferFunctionDiscrete ZerosPolesGainContinuous ZerosPolesGainDiscrete
scipy.sparse._bsr bsr_array bsr_matrix
scipy.sparse._coo coo_array coo_matrix
scipy.sparse._csc csc_array csc_matrix
scipy.sparse._csr csr_array csr_matrix
scipy.sparse._dia dia_array dia_matrix
scipy.sparse._dok dok_array dok_matrix
scipy.sparse._lil lil_array lil_matrix
scipy.sparse._matrix spmatrix
scipy.sparse.bsr bsr_array bsr_matrix
scipy.sparse.coo coo_array coo_matrix
scipy.sparse.csc csc_array csc_matrix
scipy.sparse.csr csr_array csr_matrix
scipy.sparse.dia dia_array dia_matrix
scipy.sparse.dok dok_array dok_matrix
scipy.sparse.lil lil_array lil_matrix
scipy.spatial._ckdtree cKDTree
scipy.spatial._kdtree KDTree Rectangle
scipy.spatial._qhull ConvexHull Delaunay HalfspaceIntersection Voronoi
scipy.spatial._spherical_voronoi SphericalVoronoi
scipy.spatial.ckdtree cKDTree
scipy.spatial.kdtree KDTree Rectangle
scipy.spatial.qhull ConvexHull Delaunay Voronoi HalfspaceIntersection
scipy.spatial.transform._rotation Rotation Slerp
scipy.spatial.transform._rotation_spline RotationSpline
scipy.spatial.transform.rotation Rotation Slerp
scipy.special._special_ufuncs airy airye bei beip ber berp besselpoly beta betaln binom cbrt cosdg cosm1 cotdg dawsn ellipe ellipeinc ellipj ellipk ellipkinc ellipkm1 erf erfc erfcx erfi exp1 exp10 exp2 expi expit expm1 exprel fresnel gamma gammainc gammaincc gammainccinv gammaincinv gammaln gammasgn hankel1 hankel1e hankel2 hankel2e hyp2f1 i0 i0e i1 i1e it2i0k0 it2j0y0 it2struve0 itairy iti0k0 itj0y0 itmodstruve0 itstruve0 iv ive j0 j1 jv jve k0 k0e k1 k1e kei keip kelvin ker kerp kv kve log1p log_expit log_ndtr log_wright_bessel loggamma logit mathieu_a mathieu_b mathieu_cem mathieu_modcem1 mathieu_modcem2 mathieu_modsem1 mathieu_modsem2 mathieu_sem modfresnelm modfresnelp modstruve ndtr obl_ang1 obl_ang1_cv obl_cv obl_rad1 obl_rad1_cv obl_rad2 obl_rad2_cv pbdv pbvv pbwa pro_ang1 pro_ang1_cv pro_cv pro_rad1 pro_rad1_cv pro_rad2 pro_rad2_cv psi radian rgamma sindg struve tandg voigt_profile wofz wright_bessel xlog1py xlogy y0 y1 yv yve zetac
scipy.special._ufuncs agm airy airye bdtr bdtrc bdtri bdtrik bdtrin bei beip ber berp besselpoly beta betainc betaincc betainccinv betaincinv betaln binom boxcox boxcox1p btdtria btdtrib cbrt chdtr chdtrc chdtri chdtriv chndtr chndtridf chndtrinc chndtrix cosdg cosm1 cotdg dawsn digamma ellipe ellipeinc ellipj ellipk ellipkinc ellipkm1 elliprc elliprd elliprf elliprg elliprj entr erf erfc erfcinv erfcx erfi erfinv eval_chebyc eval_chebys eval_chebyt eval_chebyu eval_gegenbauer eval_genlaguerre eval_hermite eval_hermitenorm eval_jacobi eval_laguerre eval_legendre eval_sh_chebyt eval_sh_chebyu eval_sh_jacobi eval_sh_legendre exp1 exp10 exp2 expi expit expm1 expn exprel fdtr fdtrc fdtri fdtridfd fresnel gamma gammainc gammaincc gammainccinv gammaincinv gammaln gammasgn gdtr gdtrc gdtria gdtrib gdtrix hankel1 hankel1e hankel2 hankel2e huber hyp0f1 hyp1f1 hyp2f1 hyperu i0 i0e i1 i1e inv_boxcox inv_boxcox1p it2i0k0 it2j0y0 it2struve0 itairy iti0k0 itj0y0 itmodstruve0 itstruve0 iv ive j0 j1 jn jv jve k0 k0e k1 k1e kei keip kelvin ker kerp kl_div kn kolmogi kolmogorov kv kve log1p log_expit log_ndtr log_wright_bessel loggamma logit lpmv mathieu_a mathieu_b mathieu_cem mathieu_modcem1 mathieu_modcem2 mathieu_modsem1 mathieu_modsem2 mathieu_sem modfresnelm modfresnelp modstruve nbdtr nbdtrc nbdtri nbdtrik nbdtrin ncfdtr ncfdtri ncfdtridfd ncfdtridfn ncfdtrinc nctdtr nctdtridf nctdtrinc nctdtrit ndtr ndtri ndtri_exp nrdtrimn nrdtrisd obl_ang1 obl_ang1_cv obl_cv obl_rad1 obl_rad1_cv obl_rad2 obl_rad2_cv owens_t pbdv pbvv pbwa pdtr pdtrc pdtri pdtrik poch powm1 pro_ang1 pro_ang1_cv pro_cv pro_rad1 pro_rad1_cv pro_rad2 pro_rad2_cv pseudo_huber psi radian rel_entr rgamma round shichi sici sindg smirnov smirnovi spence stdtr stdtridf stdtrit struve tandg tklmbda voigt_profile wofz wright_bessel wrightomega xlog1py xlogy y0 y1 yn yv yve zetac
scipy.stats._binomtest BinomTestResult
scipy.stats._continuous_distns alpha_gen anglit_gen arcsine_gen argus_gen beta_gen betaprime_gen bradford_gen burr12_gen burr_gen cauchy_gen chi2_gen chi_gen cosine_gen crystalball_gen dgamma_gen dpareto_lognorm_gen dweibull_gen erlang_gen expon_gen exponnorm_gen exponpow_gen exponweib_gen f_gen fatiguelife_gen fisk_gen foldcauchy_gen foldnorm_gen gamma_gen gausshyper_gen genexpon_gen genextreme_gen gengamma_gen genhalflogistic_gen genhyperbolic_gen geninvgauss_gen genlogistic_gen gennorm_gen genpareto_gen gibrat_gen gompertz_gen gumbel_l_gen gumbel_r_gen halfcauchy_gen halfgennorm_gen halflogistic_gen halfnorm_gen hypsecant_gen invgamma_gen invgauss_gen invweibull_gen irwinhall_gen jf_skew_t_gen johnsonsb_gen johnsonsu_gen kappa3_gen kappa4_gen ksone_gen kstwo_gen kstwobign_gen landau_gen laplace_asymmetric_gen laplace_gen levy_gen levy_l_gen loggamma_gen logistic_gen loglaplace_gen lognorm_gen lomax_gen maxwell_gen mielke_gen moyal_gen nakagami_gen ncf_gen nct_gen ncx2_gen norm_gen norminvgauss_gen pareto_gen pearson3_gen powerlaw_gen powerlognorm_gen powernorm_gen rayleigh_gen rdist_gen recipinvgauss_gen reciprocal_gen rel_breitwigner_gen rice_gen semicircular_gen skewcauchy_gen skewnorm_gen studentized_range_gen t_gen trapezoid_gen triang_gen truncexpon_gen truncnorm_gen truncpareto_gen truncweibull_min_gen tukeylambda_gen uniform_gen vonmises_gen wald_gen weibull_max_gen weibull_min_gen wrapcauchy_gen rv_histogram
scipy.stats._covariance CovViaCholesky CovViaDiagonal CovViaEigendecomposition CovViaPSD CovViaPrecision Covariance
scipy.stats._discrete_distns _nchypergeom_gen bernoulli_gen betabinom_gen betanbinom_gen binom_gen boltzmann_gen dlaplace_gen geom_gen hypergeom_gen logser_gen nbinom_gen nchypergeom_fisher_gen nchypergeom_wallenius_gen nhypergeom_gen planck_gen poisson_binom_gen poisson_binomial_frozen poisson_gen randint_gen skellam_gen yulesimon_gen zipf_gen zipfian_gen
scipy.stats._distn_infrastructure rv_continuous_frozen rv_discrete_frozen rv_frozen
scipy.stats._hypotests BarnardExactResult BoschlooExactResult CramerVonMisesResult Epps_Singleton_2sampResult SomersDResult TukeyHSDResult
scipy.stats._kde gaussian_kde
scipy.stats._morestats AndersonResult Anderson_ksampResult AnsariResult BartlettResult DirectionalStats FlignerResult LeveneResult Mean MedianTestResult ShapiroResult Std_dev Variance WilcoxonResult
scipy.stats._multivariate _PSD dirichlet_frozen dirichlet_gen dirichlet_multinomial_frozen dirichlet_multinomial_gen invwishart_frozen invwishart_gen matrix_normal_frozen matrix_normal_gen matrix_t_frozen matrix_t_gen multi_rv_frozen multi_rv_generic multinomial_frozen multinomial_gen multivariate_hypergeom_frozen multivariate_hypergeom_gen multivariate_normal_frozen multivariate_normal_gen multivariate_t_frozen multivariate_t_gen normal_inverse_gamma_frozen normal_inverse_gamma_gen ortho_group_frozen ortho_group_gen random_correlation_frozen random_correlation_gen random_table_frozen random_table_gen special_ortho_group_frozen special_ortho_group_gen uniform_direction_frozen uniform_direction_gen unitary_group_frozen unitary_group_gen vonmises_fisher_frozen vonmises_fisher_gen wishart_frozen wishart_gen
scipy.stats._qmc Halton LatinHypercube MultinomialQMC MultivariateNormalQMC PoissonDisk QMCEngine Sobol
scipy.stats._resampling BootstrapMethod BootstrapResult MonteCarloMethod MonteCarloTestResult PermutationMethod PermutationTestResult PowerResult ResamplingMethod
scipy.stats._stats_py AlexanderGovernResult BrunnerMunzelResult ConfidenceInterval CumfreqResult DescribeResult F_onewayResult FriedmanchisquareResult HistogramResult KruskalResult Ks_2sampResult KstestResult KurtosistestResult LinregressResult ModeResult NormaltestResult PearsonRResult PearsonRResultBase Power_divergenceResult QuantileTestResult RanksumsResult RelfreqResult SigmaclipResult SignificanceResult SkewtestResult TtestResult TtestResultBase Ttest_indResult
scipy.stats._survival ECDFResult EmpiricalDistributionFunction LogRankResult
scipy.stats.distributions rv_frozen
scipy.stats.kde gaussian_kde
`;
