package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"iter"
	"syscall"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

// tasksResult is what tasks without work cost.
type tasksResult struct {
	Workload       string    `json:"workload"`
	Tasks          int       `json:"tasks"` // of each round
	Master         string    `json:"master"`
	TasksPerSecond float64   `json:"tasks_per_second"` // median of the rounds
	Rounds         []float64 `json:"rounds"`           // tasks per second
	DriverMicros   float64   `json:"driver_cpu_us"`    // of a task; in local mode with the tasks
	ExecutorMicros float64   `json:"executor_cpu_us"`  // of a task, on all executor processes, their starts included
}

func (r *tasksResult) named(workload string) { r.Workload = workload }

// print writes the result for people.
func (r *tasksResult) print(w io.Writer) {
	fmt.Fprintf(w, "%s on %s\n  %d empty tasks: %.0f tasks/s (rounds %.0f), CPU of a task %.1f µs on the driver, %.1f µs on executor processes\n",
		r.Workload, r.Master, r.Tasks, r.TasksPerSecond, r.Rounds, r.DriverMicros, r.ExecutorMicros)
}

// runTasks measures how many tasks run in a second that have nothing to do.
func runTasks(ctx context.Context, f *flag.FlagSet, args []string) (report, error) {
	tasks := f.Int("tasks", 100_000, "tasks of a round")
	rounds := f.Int("rounds", 5, "rounds, one after the other in one program")
	master := f.String("master", "local-cluster[2,1]", "where the engine runs: local[N] or local-cluster[N,CORES]")
	if err := parse(f, args); err != nil {
		return nil, err
	}
	if *tasks < 1 || *tasks > rdd.MaxPartitions || *rounds < 1 {
		return nil, fmt.Errorf("%w: --tasks is from 1 to %d, --rounds above 0", errUsage, rdd.MaxPartitions)
	}
	r := &tasksResult{Tasks: *tasks, Master: *master}
	var before syscall.Rusage
	err := engine.NewApp("bench").RunBatch(ctx, []string{"--master", *master, "--log-level", "error"}, func(sc *rdd.Context) error {
		if err := runEmpty(sc, 100); err != nil { // all that is made once is there
			return err
		}
		sc.OnDriver(func() error { return syscall.Getrusage(syscall.RUSAGE_SELF, &before) })
		for range *rounds {
			var began time.Time
			sc.OnDriver(func() error { began = time.Now(); return nil })
			if err := runEmpty(sc, *tasks); err != nil {
				return err
			}
			sc.OnDriver(func() error {
				r.Rounds = append(r.Rounds, float64(*tasks)/time.Since(began).Seconds())
				return nil
			})
		}
		return nil
	})
	if err != nil || inJob() {
		return nil, err
	}
	var after, children syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
		return nil, err
	}
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &children); err != nil {
		return nil, err
	}
	all := float64(*tasks * *rounds)
	r.TasksPerSecond = median(r.Rounds)
	r.DriverMicros = (cpuMicros(after) - cpuMicros(before)) / all
	r.ExecutorMicros = cpuMicros(children) / all
	return r, nil
}

// runEmpty runs tasks that have nothing to do.
func runEmpty(sc *rdd.Context, tasks int) error {
	return rdd.ForEachPartition(rdd.Parallelize(sc, []int{}, rdd.Partitions(tasks)), func(_ rdd.Part, in iter.Seq2[int, error]) error {
		for _, err := range in {
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// cpuMicros returns how much of the CPU was used, in microseconds.
func cpuMicros(u syscall.Rusage) float64 {
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1000
}
