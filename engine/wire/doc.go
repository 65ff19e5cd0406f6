// Package wire holds what Hibana's processes say to each other: the messages,
// the services they belong to, the codec, and who may talk at all.
//
// # Who talks to whom
//
//	engine-submit ──────────► Control ─────────► engine-driver (leader)
//	anyone        ──────────► Logs    ─────────► engine-driver, engine-executor
//	engine-driver ──────────► Drivers, Binaries ► engine-driver
//	engine-executor ────────► Executors ───────► engine-driver (leader)
//	engine-executor ────────► Binaries ────────► engine-driver
//	job driver process ─────► JobLog  ─────────► its engine-driver, over fd 3
//	job executor process ───► Worker  ─────────► its engine-executor, over fd 3
//	job driver process ─────► Tasks   ─────────► job executor process
//	job executor process ───► Shuffle ─────────► job executor process
//
// Services are gRPC with messages in msgpack: plain structs, one byte of format
// version before each. The set of messages is closed: a method takes and answers
// exactly the struct types in its signature, fields that this version doesn't
// know are refused, and nothing from the wire names a type, a path or a command.
//
// # Followers
//
// Any engine-driver may be asked. One that doesn't lead answers with an error
// that says [ErrNotLeader] and where the leader is; [Cluster] follows it.
//
// # Doors
//
// Every connection is TLS in which both ends prove that they belong here. Outside
// loopback that takes certificates, or a listener doesn't start. On loopback it
// takes a token, kept in a file that only its owner may read and never sent: both
// ends derive a key from it. So do the processes of a job from the job's secret;
// where there are certificates calls show it inside of them instead. Between a daemon and the process it started is a socket pair that nobody else
// can reach; when it closes the process ends ([OpenParent]).
//
// # Errors
//
// The errors of this package keep their identity over the wire: errors.Is tells
// a caller what the server's method returned.
package wire
