package functions_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	f "github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/nn"
)

// in makes an input of the given shape, all zeros.
func in(shape ...int) *nn.Variable {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return nn.From(nn.NewTape(nn.Train), make([]float32, n), shape...)
}

func ids(v ...int32) *nn.Variable { return nn.From(nil, v, len(v)) }

// TestBadArguments lists what users get wrong; every message must say the
// function, the reason, and this file.
func TestBadArguments(t *testing.T) {
	for name, c := range map[string]struct {
		v    *nn.Variable
		want error
		say  string
	}{
		"linear columns":       {f.Linear(in(2, 3), in(5, 4), nil), nn.ErrShape, "x has 3 columns, W wants 4"},
		"linear flattened":     {f.Linear(in(2, 3, 3), in(5, 4), nil), nn.ErrShape, "x has 9 columns, W wants 4; given (2, 9), (5, 4)"},
		"linear bias":          {f.Linear(in(2, 4), in(5, 4), in(4)), nn.ErrShape, "b must be (5)"},
		"linear vector":        {f.Linear(in(4), in(5, 4), nil), nn.ErrShape, "want x (N, in)"},
		"linear nil":           {f.Linear(nil, in(5, 4), nil), nn.ErrValue, "nil"},
		"conv channels":        {f.Convolution2D(in(1, 3, 8, 8), in(4, 2, 3, 3), nil), nn.ErrShape, "x has 3 channels, W wants 2"},
		"conv too small":       {f.Convolution2D(in(1, 1, 2, 2), in(4, 1, 3, 3), nil), nn.ErrShape, "Convolution2D"},
		"conv groups":          {f.Convolution2D(in(1, 4, 8, 8), in(4, 2, 3, 3), nil, f.Groups(0)), nn.ErrShape, "groups"},
		"conv stride":          {f.Convolution2D(in(1, 1, 8, 8), in(4, 1, 3, 3), nil, f.Stride(-1)), nn.ErrShape, "Convolution2D"},
		"conv flat image":      {f.Convolution2D(in(4, 784), in(4, 1, 3, 3), nil), nn.ErrShape, "want x (N, C, H, W)"},
		"conv1d":               {f.Convolution1D(in(4, 784), in(4, 1, 3), nil), nn.ErrShape, "want x (N, C, L)"},
		"deconv size":          {f.Deconvolution2D(in(1, 2, 3, 3), in(2, 1, 3, 3), nil, f.OutSize(50, 50)), nn.ErrShape, "Deconvolution2D"},
		"depthwise":            {f.DepthwiseConvolution2D(in(1, 2, 3, 3), in(2, 1), nil), nn.ErrShape, "multiplier"},
		"pool rank":            {f.MaxPooling2D(in(3, 3), 2), nn.ErrShape, "want x (N, C, H, W)"},
		"pool size":            {f.MaxPooling2D(in(1, 1, 3, 3), 0), nn.ErrShape, "MaxPooling2D"},
		"average pool":         {f.AveragePooling2D(in(1, 1, 3, 3), 9), nn.ErrShape, "AveragePooling2D"},
		"global pool":          {f.GlobalAveragePooling2D(in(3, 3)), nn.ErrShape, "want x (N, C, H, W)"},
		"pyramid":              {f.SpatialPyramidPooling2D(in(3, 3), 2), nn.ErrShape, "levels"},
		"unpool":               {f.Unpooling2D(in(3, 3), 2), nn.ErrShape, "Unpooling2D"},
		"resize":               {f.ResizeImages(in(1, 1, 3, 3), 0, 4), nn.ErrShape, "size 0x4"},
		"broadcast":            {f.Add(in(2, 3), in(2, 4)), nn.ErrShape, "(2, 3) and (2, 4) differ"},
		"broadcast to":         {f.BroadcastTo(in(2, 3), 3), nn.ErrShape, "does not broadcast"},
		"reshape":              {f.Reshape(in(2, 3), 4, -1), nn.ErrShape, "cannot reshape 6 elements to (4, -1)"},
		"reshape twice free":   {f.Reshape(in(2, 3), -1, -1), nn.ErrShape, "cannot reshape"},
		"transpose":            {f.Transpose(in(2, 3), 0, 0), nn.ErrShape, "axis 0 twice"},
		"swap axes":            {f.SwapAxes(in(2, 3), 0, 2), nn.ErrShape, "axes 0 and 2"},
		"expand":               {f.ExpandDims(in(2, 3), 4), nn.ErrShape, "axis 4"},
		"squeeze":              {f.Squeeze(in(2, 1), 0), nn.ErrShape, "axis 0 does not have size 1"},
		"tile too large":       {f.Tile(in(2, 3), 1<<20, 1<<20), nn.ErrShape, "larger than"},
		"resize too large":     {f.ResizeImages(in(1, 1, 3, 3), 1<<40, 1<<40), nn.ErrShape, "larger than"},
		"pad":                  {f.Pad(in(2, 3), [][2]int{{1, 1}}, 0), nn.ErrShape, "1 widths for 2 dimensions"},
		"tile":                 {f.Tile(in(2, 3), 0), nn.ErrShape, "0 repetitions"},
		"flip":                 {f.Flip(in(2, 3), 2), nn.ErrShape, "no axis 2"},
		"concat nothing":       {f.Concat(nil, 0), nn.ErrShape, "nothing to concatenate"},
		"concat":               {f.Concat(list(in(2, 3), in(3, 3)), 1), nn.ErrShape, "differ in axis 0"},
		"split":                {f.SplitAxis(in(2, 5), 2, 1)[0], nn.ErrShape, "2 equal parts"},
		"split at":             {f.SplitAt(in(2, 5), []int{4, 3}, 1)[2], nn.ErrShape, "part 1 would be empty"},
		"separate":             {f.Separate(in(2, 5), 2)[0], nn.ErrShape, "no axis 2"},
		"sequence order":       {f.TransposeSequence(list(in(1, 2), in(2, 2)))[0], nn.ErrShape, "sorted by length"},
		"get item":             {f.GetItem(in(2, 5), f.At(2)), nn.ErrShape, "[2] selects nothing from axis 0 of 2"},
		"get empty":            {f.GetItem(in(2, 5), f.Span(1, 1)), nn.ErrShape, "[1:1] selects nothing"},
		"get every":            {f.GetItem(in(2, 5), f.All(), f.Every(f.From(9), 2)), nn.ErrShape, "[9::2] selects nothing from axis 1 of 5"},
		"get too many":         {f.GetItem(in(2), f.All(), f.All()), nn.ErrShape, "2 indices"},
		"matmul":               {f.MatMul(in(2, 3), in(2, 3)), nn.ErrShape, "a has 3 columns, b has 2 rows"},
		"matmul batches":       {f.MatMul(in(2, 2, 3), in(3, 3, 2)), nn.ErrShape, "batches of 2 and 3"},
		"bilinear":             {f.Bilinear(in(2, 3), in(2, 4), in(4, 3, 1)), nn.ErrShape, "want a (N, J)"},
		"softmax axis":         {f.Softmax(in(3)), nn.ErrShape, "no axis 1"},
		"sum axis":             {f.Sum(in(3, 2), 0, 0), nn.ErrShape, "axis 0 twice"},
		"clip":                 {f.Clip(in(3), 1, 0), nn.ErrValue, "clip to 1..0"},
		"maxout":               {f.Maxout(in(3, 4), 3), nn.ErrShape, "multiple of 3"},
		"prelu":                {f.PReLU(in(3, 4), in(3)), nn.ErrShape, "slope"},
		"dropout ratio":        {f.Dropout(in(3), 1), nn.ErrValue, "ratio 1"},
		"dropout NaN":          {f.Dropout(in(3), float32(math.NaN())), nn.ErrValue, "ratio NaN"},
		"dropout without tape": {f.Dropout(nn.From(nil, []float32{1}, 1), 0.5), nn.ErrNoTape, "Tape.Input"},
		"label range":          {f.SoftmaxCrossEntropy(in(2, 3), ids(0, 3)), nn.ErrValue, "label 3 at element 1, want 0..2"},
		"label type":           {f.SoftmaxCrossEntropy(in(2, 3), in(2)), nn.ErrShape, "int32 t"},
		"label count":          {f.SoftmaxCrossEntropy(in(2, 3), ids(0, 1, 2)), nn.ErrShape, "given (2, 3), int32(3)"},
		"class weights":        {f.SoftmaxCrossEntropy(in(2, 3), ids(0, 1), f.ClassWeight([]float32{1})), nn.ErrShape, "3 classes"},
		"binary label":         {f.SigmoidCrossEntropy(in(2), ids(0, 2)), nn.ErrValue, "label 2 at element 1"},
		"select":               {f.SelectItem(in(2, 3), ids(0, 3)), nn.ErrValue, "t[1] is 3"},
		"embed range":          {f.EmbedID(ids(5), in(5, 2)), nn.ErrValue, "5"},
		"embed smallest":       {f.EmbedID(ids(math.MinInt32), in(5, 2)), nn.ErrValue, "-2147483648"},
		"embed type":           {f.EmbedID(nn.From(nil, []bool{true}, 1), in(5, 2)), nn.ErrShape, "ids of int32"},
		"embed fraction":       {f.EmbedID(nn.From(nil, []float32{1, 0.5}, 2), in(5, 2)), nn.ErrValue, "id 0.5 at element 1, want a whole number"},
		"embed NaN":            {f.EmbedID(nn.From(nil, []float32{float32(math.NaN())}, 1), in(5, 2)), nn.ErrValue, "id NaN"},
		"embed large":          {f.EmbedID(nn.From(nil, []float32{1 << 24}, 1), in(5, 2)), nn.ErrValue, "below 2^24"},
		"embed float range":    {f.EmbedID(nn.From(nil, []float32{5}, 1), in(5, 2)), nn.ErrValue, "5"},
		"mean squares":         {f.MeanSquaredError(in(2), in(3)), nn.ErrShape, "one shape"},
		"huber delta":          {f.HuberLoss(in(2, 2), in(2, 2), 0), nn.ErrValue, "delta 0"},
		"accuracy":             {f.Accuracy(in(2, 3), ids(1)), nn.ErrShape, "Accuracy"},
		"where":                {f.Where(in(2), in(2), in(2)), nn.ErrShape, "bool"},
		"batch normalization":  {f.FixedBatchNormalization(in(2, 3), in(2), in(2), in(2), in(2), 1e-5), nn.ErrShape, "gamma (C)"},
		"group normalization":  {f.GroupNormalization(in(2, 3, 4), 2, in(3), in(3), 1e-5), nn.ErrShape, "multiple of 2"},
		"layer normalization":  {f.LayerNormalization(in(2, 3, 4), in(3), in(3), 1e-5), nn.ErrShape, "want x (N, D)"},
		"response":             {f.LocalResponseNormalization(in(2, 3), 0, 1, 1, 1), nn.ErrValue, "0 channels"},
		"negative sampling":    {f.NegativeSampling(in(2, 3), in(4, 3), ids(1), nn.From(nil, []int32{0, 0}, 2, 1)), nn.ErrShape, "int32 samples (N, K)"},
		"negative word":        {f.NegativeSampling(in(1, 3), in(4, 3), ids(-2), nn.From(nil, []int32{0}, 1, 1)), nn.ErrValue, "word -2 at element 0"},
		"word of a tree":       {f.BinaryHierarchicalSoftmax(in(1, 3), in(1, 3), ids(2), f.HuffmanTree([]int{1, 1})), nn.ErrValue, "word 2 at element 0, want 0..1"},
		"size of a tree":       {f.BinaryHierarchicalSoftmax(in(1, 3), in(3, 3), ids(0), f.HuffmanTree([]int{1, 1})), nn.ErrShape, "inner nodes"},
		"gru":                  {f.GRU(in(2, 3), in(2, 9), in(2, 8)), nn.ErrShape, "3*units"},
	} {
		err := c.v.Err()
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
			continue
		}
		if !strings.Contains(err.Error(), c.say) || !strings.HasPrefix(err.Error(), "functions/errors_test.go:") {
			t.Errorf("%s: %q should begin with this file and contain %q", name, err, c.say)
		}
	}
	if c, _ := f.LSTM(in(2, 3), in(3, 12)); !errors.Is(c.Err(), nn.ErrShape) {
		t.Errorf("lstm with more inputs than states: %v", c.Err())
	}
	if y, mean, _ := f.BatchNormalization(in(2, 3), in(2), in(2), 1e-5); !errors.Is(y.Err(), nn.ErrShape) || mean.Err() != y.Err() {
		t.Errorf("batch normalization: %v, its mean: %v", y.Err(), mean.Err())
	}
}

// TestFirstErrorWins passes a failed variable through functions of every shape.
func TestFirstErrorWins(t *testing.T) {
	bad := f.Linear(in(2, 3), in(5, 4), nil)
	for name, v := range map[string]*nn.Variable{
		"op":        f.ReLU(bad),
		"second":    f.Add(in(2, 5), bad),
		"composite": f.Maxout(bad, 2),
		"split":     f.SplitAxis(bad, 3, 0)[2],
		"separate":  f.Separate(bad, 0)[0],
		"part":      f.Separate(bad, 1)[2],
		"step":      f.TransposeSequence(list(bad, bad))[7],
		"stack":     f.Stack(list(in(2), bad), 0),
		"get item":  f.GetItem(bad, f.At(0)),
		"dropout":   f.Dropout(bad, 0.5),
		"sequence":  f.TransposeSequence(list(bad))[0],
		"detach":    bad.Detach(),
	} {
		if v.Err() != bad.Err() {
			t.Errorf("%s: %v, want the first error %v", name, v.Err(), bad.Err())
		}
	}
}
