// Package extensions holds the ready extensions of a training.Trainer:
// Evaluate, LogReport, PrintReport, ProgressBar, PlotReport, Snapshot,
// SnapshotModel, ExponentialShift and ObserveValue.
//
// Each constructor gives a value whose fields may be changed before the
// training starts:
//
//	save := extensions.Snapshot()
//	save.Keep, save.OnStop = 3, true
//	trainer.Extend(extensions.Evaluate(test), extensions.LogReport(), save)
package extensions
