package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func command(ctx context.Context, bootstrap string, admin *kadm.Client, c []string) error {
	switch c[0] {
	case "create":
		_, err := admin.CreateTopic(ctx, int32(number(c[2])), 1, nil, c[1])
		return err
	case "topics":
		topics, err := admin.ListTopics(ctx)
		for _, name := range topics.Names() {
			say(name)
		}
		return err
	case "describe":
		topics, err := admin.ListTopics(ctx, c[1])
		for _, p := range topics[c[1]].Partitions.Sorted() {
			say(p.Partition, p.Leader)
		}
		return err
	case "produce":
		client, err := producer(bootstrap, c[2], c[3])
		if err != nil {
			return err
		}
		defer client.Close()
		return produce(ctx, client, c[1], c[2], number(c[4]), number(c[5]))
	case "produce-on":
		if kept == nil {
			var err error
			if kept, err = producer(bootstrap, "lz4", "all"); err != nil {
				return err
			}
		}
		return produce(ctx, kept, c[1], c[2], number(c[3]), number(c[4]))
	case "codecs":
		return codecs(ctx, bootstrap, admin, c[1])
	case "ends":
		first, err := admin.ListStartOffsets(ctx, c[1])
		if err != nil {
			return err
		}
		last, err := admin.ListEndOffsets(ctx, c[1])
		first.Each(func(o kadm.ListedOffset) {
			end, _ := last.Lookup(c[1], o.Partition)
			say(o.Partition, o.Offset, end.Offset)
		})
		return err
	case "groups":
		groups, err := admin.ListGroups(ctx)
		for _, name := range groups.Groups() {
			say(name)
		}
		return err
	case "group":
		groups, err := admin.DescribeGroups(ctx, c[1])
		if err == nil {
			err = groups[c[1]].Err
		}
		say(groups[c[1]].State, groups[c[1]].Protocol)
		for _, m := range groups[c[1]].Members {
			var owned []int32
			if assigned, ok := m.Assigned.AsConsumer(); ok {
				for _, topic := range assigned.Topics {
					owned = append(owned, topic.Partitions...)
				}
			}
			say(m.ClientID, join(owned))
		}
		return err
	case "committed":
		offsets, err := admin.FetchOffsets(ctx, c[1])
		offsets.Each(func(o kadm.OffsetResponse) {
			if o.Topic == c[2] {
				say(o.Partition, o.At)
			}
		})
		return err
	case "reset":
		first, err := admin.ListStartOffsets(ctx, c[2])
		if err != nil {
			return err
		}
		return admin.CommitAllOffsets(ctx, c[1], first.Offsets())
	case "config":
		described, err := admin.DescribeTopicConfigs(ctx, c[1])
		if err != nil {
			return err
		}
		for _, config := range described[0].Configs {
			if config.Key == c[2] {
				say(config.MaybeValue())
			}
		}
		return described[0].Err
	case "set-config":
		altered, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: c[2], Value: &c[3]}}, c[1])
		if err != nil {
			return err
		}
		return altered[0].Err
	case "delete-records":
		var to kadm.Offsets
		to.AddOffset(c[1], int32(number(c[2])), int64(number(c[3])), -1)
		deleted, err := admin.DeleteRecords(ctx, to)
		if err != nil {
			return err
		}
		return deleted.Error()
	case "delete-group":
		_, err := admin.DeleteGroup(ctx, c[1])
		return err
	case "delete-topic":
		_, err := admin.DeleteTopic(ctx, c[1])
		return err
	}
	return fmt.Errorf("no such command: %s", c[0])
}

// kept is the producer that stays open.
var kept *kgo.Client

func producer(bootstrap, codec, acks string) (*kgo.Client, error) {
	compression := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	options := []kgo.Opt{kgo.SeedBrokers(strings.Split(bootstrap, ",")...), kgo.ProducerBatchCompression(compression[codec])}
	switch acks {
	case "0":
		options = append(options, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	case "1":
		options = append(options, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	}
	return kgo.NewClient(options...)
}

func produce(ctx context.Context, client *kgo.Client, topic, codec string, from, count int) error {
	var records []*kgo.Record
	for i := from; i < from+count; i++ {
		r := &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "value %d %s", i, strings.Repeat("interop ", 12))}
		if i%10 != 0 {
			r.Key = fmt.Appendf(nil, "k%d", i)
		}
		r.Headers = []kgo.RecordHeader{{Key: "codec", Value: []byte(codec)}}
		records = append(records, r)
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return err
	}
	say(len(records))
	return nil
}

// codecs says how many records of a topic are stored with which codec: partition, codec, records. Other clients do not tell.
func codecs(ctx context.Context, bootstrap string, admin *kadm.Client, topic string) error {
	ends, err := admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return err
	}
	left := int64(0)
	ends.Each(func(o kadm.ListedOffset) { left += o.Offset })
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(bootstrap, ",")...), kgo.ConsumeTopics(topic), kgo.FetchMaxWait(200*1e6))
	if err != nil {
		return err
	}
	defer client.Close()
	names := []string{"none", "gzip", "snappy", "lz4", "zstd"}
	counts := map[string]int{}
	for left > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			counts[names[r.Attrs.CompressionType()]]++
			left--
		})
	}
	for _, name := range names {
		say(name, counts[name])
	}
	return nil
}
