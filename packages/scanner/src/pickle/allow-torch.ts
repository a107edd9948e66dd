/**
 * Names that PyTorch checkpoints, whole pickled modules and the boosting libraries import, one module a line. Storages, tensors, data
 * types and layouts, the rebuild functions of torch._utils, layers of torch.nn, optimisers and schedulers. Functions that load, compile
 * or call what they are handed (torch.load, torch.jit, torch.hub, torch._dynamo) are denied, never listed here.
 */
export const TORCH: string = `
torch BFloat16Storage BFloat16Tensor BoolStorage BoolTensor ByteStorage ByteTensor CharStorage CharTensor ComplexDoubleStorage ComplexFloatStorage DoubleStorage DoubleTensor FloatStorage FloatTensor Generator HalfStorage HalfTensor IntStorage IntTensor LongStorage LongTensor QInt32Storage QInt8Storage QUInt2x4Storage QUInt4x2Storage QUInt8Storage ShortStorage ShortTensor Size Tensor UntypedStorage TypedStorage bfloat16 bits16 bits8 bool complex128 complex32 complex64 device double dtype finfo float float16 float32 float64 float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu half iinfo int int16 int32 int64 int8 layout long memory_format per_channel_affine per_channel_affine_float_qparams per_channel_symmetric per_tensor_affine per_tensor_symmetric qint32 qint8 qscheme quint2x4 quint4x2 quint8 short strided contiguous_format preserve_format channels_last uint16 uint32 uint64 uint8 cfloat cdouble chalf sparse_coo sparse_csr sparse_csc sparse_bsr sparse_bsc
torch.cuda BFloat16Storage BFloat16Tensor BoolStorage BoolTensor ByteStorage ByteTensor CharStorage CharTensor DoubleStorage DoubleTensor FloatStorage FloatTensor HalfStorage HalfTensor IntStorage IntTensor LongStorage LongTensor ShortStorage ShortTensor
torch._C Size Generator TensorBase _TensorBase
torch._tensor Tensor _rebuild_from_type _rebuild_from_type_v2
torch.tensor Tensor _rebuild_from_type _rebuild_from_type_v2
torch._utils _rebuild_device_tensor_from_cpu_tensor _rebuild_device_tensor_from_numpy _rebuild_meta_tensor_no_storage _rebuild_nested_tensor _rebuild_parameter _rebuild_parameter_with_state _rebuild_qtensor _rebuild_sparse_csr_tensor _rebuild_sparse_tensor _rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_wrapper_subclass _rebuild_xla_tensor
torch.nested._internal.nested_tensor _rebuild_njt
torch.serialization _get_layout
torch.storage TypedStorage UntypedStorage _TypedStorage _UntypedStorage
torch.nn.parameter Buffer Parameter UninitializedBuffer UninitializedParameter
torch.nn Parameter ParameterDict ParameterList Module Sequential ModuleList ModuleDict Linear Conv1d Conv2d Conv3d BatchNorm1d BatchNorm2d ReLU Dropout Embedding LSTM GRU LayerNorm
torch.nn.modules.activation CELU ELU GELU GLU Hardshrink Hardsigmoid Hardswish Hardtanh LeakyReLU LogSigmoid LogSoftmax Mish MultiheadAttention PReLU RReLU ReLU ReLU6 SELU SiLU Sigmoid Softmax Softmax2d Softmin Softplus Softshrink Softsign Tanh Tanhshrink Threshold
torch.nn.modules.adaptive AdaptiveLogSoftmaxWithLoss
torch.nn.modules.batchnorm BatchNorm1d BatchNorm2d BatchNorm3d LazyBatchNorm1d LazyBatchNorm2d LazyBatchNorm3d SyncBatchNorm _BatchNorm
torch.nn.modules.channelshuffle ChannelShuffle
torch.nn.modules.container ModuleDict ModuleList ParameterDict ParameterList Sequential
torch.nn.modules.conv Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d LazyConv1d LazyConv2d LazyConv3d
torch.nn.modules.distance CosineSimilarity PairwiseDistance
torch.nn.modules.dropout AlphaDropout Dropout Dropout1d Dropout2d Dropout3d FeatureAlphaDropout
torch.nn.modules.flatten Flatten Unflatten
torch.nn.modules.fold Fold Unfold
torch.nn.modules.instancenorm InstanceNorm1d InstanceNorm2d InstanceNorm3d
torch.nn.modules.linear Bilinear Identity LazyLinear Linear NonDynamicallyQuantizableLinear
torch.nn.modules.loss BCELoss BCEWithLogitsLoss CTCLoss CosineEmbeddingLoss CrossEntropyLoss GaussianNLLLoss HingeEmbeddingLoss HuberLoss KLDivLoss L1Loss MSELoss MarginRankingLoss MultiLabelMarginLoss MultiLabelSoftMarginLoss MultiMarginLoss NLLLoss NLLLoss2d PoissonNLLLoss SmoothL1Loss SoftMarginLoss TripletMarginLoss TripletMarginWithDistanceLoss
torch.nn.modules.module Module
torch.nn.modules.normalization CrossMapLRN2d GroupNorm LayerNorm LocalResponseNorm RMSNorm
torch.nn.modules.padding CircularPad1d CircularPad2d CircularPad3d ConstantPad1d ConstantPad2d ConstantPad3d ReflectionPad1d ReflectionPad2d ReflectionPad3d ReplicationPad1d ReplicationPad2d ReplicationPad3d ZeroPad1d ZeroPad2d ZeroPad3d
torch.nn.modules.pixelshuffle PixelShuffle PixelUnshuffle
torch.nn.modules.pooling AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d AvgPool1d AvgPool2d AvgPool3d FractionalMaxPool2d FractionalMaxPool3d LPPool1d LPPool2d MaxPool1d MaxPool2d MaxPool3d MaxUnpool1d MaxUnpool2d MaxUnpool3d
torch.nn.modules.rnn GRU GRUCell LSTM LSTMCell RNN RNNBase RNNCell
torch.nn.modules.sparse Embedding EmbeddingBag
torch.nn.modules.transformer Transformer TransformerDecoder TransformerDecoderLayer TransformerEncoder TransformerEncoderLayer
torch.nn.modules.upsampling Upsample UpsamplingBilinear2d UpsamplingNearest2d
torch.nn.functional celu elu gelu glu leaky_relu log_softmax mish relu relu6 selu sigmoid silu softmax softplus tanh
torch.nn.init kaiming_normal_ kaiming_uniform_ normal_ uniform_ xavier_normal_ xavier_uniform_ zeros_ ones_
torch.optim.adadelta Adadelta
torch.optim.adagrad Adagrad
torch.optim.adam Adam
torch.optim.adamax Adamax
torch.optim.adamw AdamW
torch.optim.asgd ASGD
torch.optim.lbfgs LBFGS
torch.optim.nadam NAdam
torch.optim.radam RAdam
torch.optim.rmsprop RMSprop
torch.optim.rprop Rprop
torch.optim.sgd SGD
torch.optim.sparse_adam SparseAdam
torch.optim.lr_scheduler ChainedScheduler ConstantLR CosineAnnealingLR CosineAnnealingWarmRestarts CyclicLR ExponentialLR LambdaLR LinearLR MultiStepLR MultiplicativeLR OneCycleLR PolynomialLR ReduceLROnPlateau SequentialLR StepLR
torch.distributions.normal Normal
torch.distributions.categorical Categorical
torch.jit._pickle build_boollist build_doublelist build_intlist build_tensor_from_id build_tensorlist restore_type_tag
transformers.training_args OptimizerNames ParallelMode TrainingArguments
transformers.training_args_seq2seq Seq2SeqTrainingArguments
transformers.trainer_utils EvaluationStrategy HubStrategy IntervalStrategy SaveStrategy SchedulerType ShardedDDPOption FSDPOption
transformers.trainer_pt_utils AcceleratorConfig
transformers.debug_utils DebugOption
transformers.integrations.deepspeed HfDeepSpeedConfig HfTrainerDeepSpeedConfig
accelerate.state AcceleratorState PartialState
accelerate.utils.dataclasses DeepSpeedPlugin DistributedType DynamoBackend
lightning.fabric.utilities.data AttributeDict
lightning_fabric.utilities.data AttributeDict
pytorch_lightning.utilities.parsing AttributeDict
lightning.pytorch.utilities.parsing AttributeDict
pytorch_lightning.callbacks.model_checkpoint ModelCheckpoint
pytorch_lightning.callbacks.early_stopping EarlyStopping
lightning.pytorch.callbacks.model_checkpoint ModelCheckpoint
lightning.pytorch.callbacks.early_stopping EarlyStopping
omegaconf.dictconfig DictConfig
omegaconf.listconfig ListConfig
omegaconf.base ContainerMetadata Metadata
omegaconf.nodes AnyNode BooleanNode EnumNode FloatNode IntegerNode StringNode
torchvision.models.resnet BasicBlock Bottleneck ResNet
torchvision.models.vgg VGG
torchvision.models.densenet DenseNet _DenseBlock _DenseLayer _Transition
torchvision.models.mobilenetv2 ConvBNReLU InvertedResidual MobileNetV2
lightgbm.basic Booster Dataset
lightgbm.sklearn LGBMClassifier LGBMModel LGBMRanker LGBMRegressor _ObjectiveFunctionWrapper _EvalFunctionWrapper
xgboost.core Booster
xgboost.sklearn XGBClassifier XGBModel XGBRanker XGBRegressor XGBRFClassifier XGBRFRegressor
catboost.core CatBoost CatBoostClassifier CatBoostRanker CatBoostRegressor
_catboost _CatBoost
joblib.numpy_pickle NDArrayWrapper NumpyArrayWrapper ZNDArrayWrapper
joblib.numpy_pickle_compat NDArrayWrapper ZNDArrayWrapper
sklearn.externals.joblib.numpy_pickle NDArrayWrapper NumpyArrayWrapper ZNDArrayWrapper
sklearn.externals.joblib.numpy_pickle_compat NDArrayWrapper ZNDArrayWrapper
xgboost.compat XGBoostLabelEncoder
lightgbm.compat _LGBMLabelEncoder LGBMLabelEncoder
`;
