// Package kafkatest runs tests against Kafka: kfake in this process always, and a
// real broker where there is one.
//
// `make test` starts a real broker with deploy/kafka/kafka and names it in the
// environment variable HIBANA_KAFKA. By hand:
//
//	export HIBANA_KAFKA=$(deploy/kafka/kafka start /tmp/kafka 9092)
//	go test ./connectors/kafka/...
//
// `make test-kafka` also runs the tests that stop and kill real brokers of three.
package kafkatest
