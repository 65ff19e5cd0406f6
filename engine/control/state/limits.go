package state

// Limits of what the cluster remembers. Together they keep a snapshot within
// maxSnapshot: what jobs are and record is within maxStateBytes; their executor
// processes take up to maxLiveJobs x maxExecutors x 283 bytes, which is 270 MiB,
// and what executors say when they refuse jobs 157 MiB.
const (
	maxLiveJobs      = 1000
	maxEndedJobs     = 1000      // the oldest are forgotten
	maxLeftLogs      = 100       // of those, which leave a log; the oldest are dropped
	maxLeftBytes     = 128 << 20 // of these logs together
	maxPending       = 1024      // batches of a job that aren't complete
	maxStateBytes    = 512 << 20 // all jobs, see job.size
	maxJobBytes      = 64 << 20  // header, values and batches of a job
	jobShare         = 256 << 10 // of those, what is kept free for each job that runs
	maxValues        = 10_000    // of a job
	maxExecutors     = 1000
	maxLostExecutors = 100 // the longest lost are forgotten
	MaxDrivers       = 7
	MaxReason        = 16 << 10 // bytes of why a job ended
	MaxName          = 128      // bytes of a name or an address
	MaxArgs          = 1024     // of a job
	MaxArgBytes      = 96 << 10 // Linux takes 128 KiB for one argument
	MaxExecutorSlots = 4096     // that one executor says it has
	maxRefusals      = 8        // executors of a job whose reasons are kept whole
	MaxReasonText    = 4 << 10  // bytes of why an executor refuses a job
	shortReason      = 64       // bytes of those of others
)

// MaxCompletions bounds the completions of a job that aren't recorded yet: they go
// into one command.
const MaxCompletions = 1 << 16
