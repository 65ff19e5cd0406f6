package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/ml"
	"github.com/hibana-engine/hibana/ml/compile"
	"github.com/hibana-engine/hibana/ml/datasets/mnist"
	"github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/serializers"
	"github.com/hibana-engine/hibana/rdd"
)

// imageSize is the bytes of an MNIST image.
const imageSize = mnist.Rows * mnist.Cols

// mnistBench is what the rounds of the workload share.
type mnistBench struct {
	model    string
	weights  []byte
	images   int
	master   string
	addr     string
	topic    string
	interval time.Duration
	result   string // file for a job on a cluster to leave its time in
}

// runMNIST measures images per second through Kafka and a network.
func runMNIST(ctx context.Context, f *flag.FlagSet, args []string) (report, error) {
	var b mnistBench
	f.StringVar(&b.model, "model", "cnn", "network: cnn or mlp")
	f.IntVar(&b.images, "images", 300_000, "images to recognise")
	f.StringVar(&b.topic, "topic", "", topicUsage("made and filled"))
	f.StringVar(&b.master, "master", "local[2]", "where the engine runs; cluster compares 3 engine-drivers and 2 engine-executors with local[2]")
	f.DurationVar(&b.interval, "interval", 200*time.Millisecond, "batch interval")
	partitions := f.Int("partitions", 8, "partitions of the topic")
	brokers := f.String("brokers", "", "Kafka addresses; none: an embedded broker in this process")
	rounds := f.Int("rounds", 3, "rounds of baseline and engine in turn")
	weights := f.String("weights", "", internal+"file with the weights, for the processes of a job on a cluster")
	f.StringVar(&b.result, "result", "", internal+"file for a job on a cluster to leave its time in")
	if err := parse(f, args, "images", "partitions", "interval", "rounds"); err != nil {
		return nil, err
	}
	if inJob() {
		return nil, b.streamInJob(ctx, *weights, *brokers)
	}
	set, err := mnist.Test()
	if err != nil {
		return nil, err
	}
	if b.model != "cnn" && b.model != "mlp" {
		return nil, fmt.Errorf("%w: --model %q; there are cnn and mlp", errUsage, b.model)
	}
	if b.weights, err = randomWeights(b.network()); err != nil {
		return nil, err
	}
	var kind string
	var stop func()
	if b.addr, kind, stop, err = broker(ctx, *brokers); err != nil {
		return nil, err
	}
	defer stop()
	var remove func()
	b.topic, remove = topicFor(ctx, b.topic, *brokers, "images")
	defer remove()
	next := 0
	if err := load(ctx, b.addr, b.topic, *partitions, int64(b.images), func() []byte {
		next++
		return set.Image((next - 1) % set.Len())
	}); err != nil {
		return nil, err
	}
	r := &result{Records: int64(b.images), Master: b.master, Brokers: kind, IntervalMS: ms(b.interval), Baseline: "bare compiled " + b.model + ", 2 workers"}
	if b.master == masterCluster {
		return b.besideLocal(ctx, r, *rounds)
	}
	var rates, base, seconds []float64
	for round := range *rounds + 1 {
		bare, err := b.bare(set)
		if err != nil {
			return nil, err
		}
		d := &drain{records: int64(b.images)}
		if err := b.stream(ctx, d); err != nil {
			return nil, err
		}
		if round == 0 {
			continue // warm-up
		}
		rate := float64(b.images) / d.took.Seconds()
		fmt.Fprintf(os.Stderr, "round %d: bare %.0f, engine %.0f images/s in %d batches\n", round, bare, rate, len(d.batches))
		rates, base, seconds = append(rates, rate), append(base, bare), append(seconds, d.took.Seconds())
		r.Ratios = append(r.Ratios, rate/bare)
		d.fill(r)
	}
	r.RecordsPerSecond, r.BaselineRate, r.Ratio, r.Seconds = median(rates), median(base), median(r.Ratios), median(seconds)
	r.PeakRSSMiB = peakRSS()
	return r, nil
}

// network returns an untrained network: its speed is that of a trained one.
func (b *mnistBench) network() ml.Network {
	if b.model == "mlp" {
		return links.Sequential(links.Linear(1000, links.InSize(imageSize)), functions.ReLU,
			links.Linear(1000, links.InSize(1000)), functions.ReLU, links.Linear(10, links.InSize(1000)))
	}
	pool := func(x *nn.Variable) *nn.Variable { return functions.MaxPooling2D(x, 2) }
	return links.Sequential(
		links.Convolution2D(32, 5, links.InSize(1)), functions.ReLU, pool,
		links.Convolution2D(64, 5, links.InSize(32)), functions.ReLU, pool,
		links.Linear(512, links.InSize(64*4*4)), functions.ReLU, links.Linear(10, links.InSize(512)))
}

// randomWeights returns a weights file of a network as it was made.
func randomWeights(net ml.Network) ([]byte, error) {
	var file bytes.Buffer
	if err := serializers.WriteNPZ(&file, net); err != nil {
		return nil, err
	}
	return file.Bytes(), nil
}

// bare runs the compiled network on as many goroutines as local[2] has slots and
// returns images per second: pixels to floats included, Kafka not.
func (b *mnistBench) bare(set mnist.Set) (float64, error) {
	net := b.network()
	if err := serializers.LoadNPZBytes(b.weights, net); err != nil {
		return 0, err
	}
	m, err := compile.Network(net.Forward, 1, mnist.Rows, mnist.Cols)
	if err != nil {
		return 0, err
	}
	const workers, batch = 2, 256
	errs := make([]error, workers)
	started := time.Now()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			worker, x := m.NewWorker(batch), make([]float32, batch*imageSize)
			for done := 0; done < b.images/workers; done += batch {
				for i := range batch {
					toFloats(set.Image((done+i)%set.Len()), x[i*imageSize:(i+1)*imageSize])
				}
				if _, errs[w] = worker.Run(x, batch); errs[w] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return 0, err
		}
	}
	n := workers * ((b.images/workers + batch - 1) / batch * batch)
	return float64(n) / time.Since(started).Seconds(), nil
}

func toFloats(pixels []byte, row []float32) {
	for i, p := range pixels {
		row[i] = float32(p) / 255
	}
}

// stream recognises the topic's images with the engine and counts them by digit.
func (b *mnistBench) stream(ctx context.Context, d *drain) error {
	d.started = time.Now()
	var total int64
	master := b.master
	if inJob() {
		master = "local" // the daemons decide
	}
	args := streamArgs(master, b.addr)
	err := engine.NewApp("bench").Run(ctx, args, b.interval, func(ssc *engine.StreamingContext) error {
		ssc.AddListener(d)
		pixels := kafka.Direct(ssc, kafka.Subscribe(b.topic), func(r *kafka.Record) ([]byte, error) { return r.Value, nil })
		engine.ForEachBatch(engine.CountByValue(b.digits(ssc, pixels), rdd.Partitions(1)), func(_ engine.Batch, counts []rdd.Pair[int, int64]) error {
			for _, c := range counts {
				total += c.Value
			}
			if total >= d.records && d.took == 0 {
				d.took = time.Since(d.started)
				ssc.Stop()
				return b.leave(d.took)
			}
			return nil
		})
		return nil
	})
	if err == nil && total != d.records && os.Getenv(role.Env) != role.Executor {
		err = fmt.Errorf("recognised %d of %d images", total, d.records)
	}
	return err
}

// digits recognises images.
func (b *mnistBench) digits(ssc *engine.StreamingContext, pixels *engine.DStream[[]byte]) *engine.DStream[int] {
	model := ml.Model(ssc, b.model, b.network, b.weights, 1, mnist.Rows, mnist.Cols)
	return ml.Predict(pixels, model,
		func(p []byte, row []float32) error { toFloats(p, row); return nil },
		func(_ []byte, out ml.Row) (int, error) { return argmax(out.Output), nil })
}

// besideLocal measures the engine on a cluster and on local[2], in turn.
func (b *mnistBench) besideLocal(ctx context.Context, r *result, rounds int) (_ report, err error) {
	c, err := startCluster(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { c.close(err) }()
	weights := filepath.Join(c.dir, "weights.npz")
	if err := os.WriteFile(weights, b.weights, 0o600); err != nil {
		return nil, err
	}
	b.master, r.Master, r.Baseline = "local[2]", clusterIs, "the engine on local[2]"
	var rates, base, seconds []float64
	for round := range rounds + 1 {
		d := &drain{records: int64(b.images)}
		if err := b.stream(ctx, d); err != nil {
			return nil, err
		}
		var took time.Duration
		err := c.run(ctx, &took, "mnist", "--model", b.model, "--images", strconv.Itoa(b.images), "--topic", b.topic,
			"--interval", b.interval.String(), "--brokers", b.addr, "--weights", weights)
		if err != nil {
			return nil, err
		}
		if round == 0 {
			continue // warm-up
		}
		local, cluster := float64(b.images)/d.took.Seconds(), float64(b.images)/took.Seconds()
		fmt.Fprintf(os.Stderr, "round %d: local[2] %.0f, cluster %.0f images/s\n", round, local, cluster)
		rates, base, seconds = append(rates, cluster), append(base, local), append(seconds, took.Seconds())
		r.Ratios = append(r.Ratios, cluster/local)
		r.Batches = len(d.batches)
	}
	r.RecordsPerSecond, r.BaselineRate, r.Ratio, r.Seconds = median(rates), median(base), median(r.Ratios), median(seconds)
	return r, nil
}

// streamInJob is stream in a process of a job.
func (b *mnistBench) streamInJob(ctx context.Context, weights, addr string) (err error) {
	b.addr = addr
	if b.weights, err = os.ReadFile(weights); err != nil {
		return err
	}
	return b.stream(ctx, &drain{records: int64(b.images)})
}

// leave writes how long it took to a file, if the job has one.
func (b *mnistBench) leave(took time.Duration) error {
	if b.result == "" {
		return nil
	}
	out, err := json.Marshal(took)
	if err != nil {
		return err
	}
	return os.WriteFile(b.result, out, 0o600)
}

func argmax(v []float32) int {
	best := 0
	for i, x := range v {
		if x > v[best] {
			best = i
		}
	}
	return best
}
