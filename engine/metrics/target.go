package metrics

import (
	"strconv"

	"github.com/hibana-engine/hibana/engine/wire"
)

// ProcessTarget returns the target of a job's process that serves its metrics at an
// address. Its labels are the process's role, the job's number and its name.
func ProcessTarget(address, role string, job wire.JobSpec) Target {
	return Target{Targets: []string{address}, Labels: map[string]string{
		"hibana_role": role, "hibana_job": strconv.FormatUint(job.Incarnation, 10), "hibana_job_name": job.Name,
	}}
}
