package wire

// assignmentsPerMessage keeps a message of assignments within MaxMessage: a job's
// arguments may take 100 KB.
const assignmentsPerMessage = 64

// SendAssignments sends a list, in as many messages as it takes.
func SendAssignments(stream interface{ Send(*Assignments) error }, a *Assignments) error {
	for jobs := a.Jobs; ; jobs = jobs[assignmentsPerMessage:] {
		part := *a
		part.Jobs = jobs[:min(len(jobs), assignmentsPerMessage)]
		part.More = len(jobs) > assignmentsPerMessage
		if err := stream.Send(&part); err != nil || !part.More {
			return err
		}
	}
}

// ReceiveAssignments receives a list that SendAssignments sent.
func ReceiveAssignments(stream interface{ Recv() (*Assignments, error) }) (*Assignments, error) {
	a, err := stream.Recv()
	for err == nil && a.More {
		var part *Assignments
		if part, err = stream.Recv(); err == nil {
			part.Jobs = append(a.Jobs, part.Jobs...)
			a = part
		}
	}
	return a, err
}
