import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.serialization.*;

/** Java's clients behind the commands that `walk.py` gives. */
public final class Client {
    static final PrintStream OUT = new PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), false);
    static final BufferedReader IN = new BufferedReader(new InputStreamReader(System.in));

    public static void main(String[] args) throws Exception {
        if (args[1].equals("member")) member(args[0], args[2], args[3], args[4], Integer.parseInt(args[5]), args[6], args[7], args[8]);
        else admin(args[0]);
    }

    static void say(Object... fields) {
        OUT.print(Arrays.stream(fields).map(String::valueOf).collect(Collectors.joining("\t")) + "\n");
    }

    // ---- a member of a group, until stdin ends

    static void member(String bootstrap, String topic, String group, String assignors, int pause, String session, String instance,
        String rack) throws Exception {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("group.id", group);
        p.put("client.id", "java");
        p.put("auto.offset.reset", "earliest");
        p.put("enable.auto.commit", "false");
        p.put("max.poll.records", "50");
        p.put("heartbeat.interval.ms", "300");
        p.put("session.timeout.ms", session);
        if (!instance.equals("-")) p.put("group.instance.id", instance);
        if (!rack.equals("-")) p.put("client.rack", rack);
        p.put("partition.assignment.strategy", Arrays.stream(assignors.split(",")).map(ASSIGNORS::get).toList());
        var consumer = new KafkaConsumer<>(p, new StringDeserializer(), new StringDeserializer());
        var stop = new AtomicBoolean();
        var reader = new Thread(() -> {
            try { while (IN.read() >= 0) { } } catch (Exception e) { /* as good as the end */ }
            stop.set(true);
        });
        reader.setDaemon(true);
        reader.start();
        var owned = new TreeSet<Integer>();
        consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
            public void onPartitionsAssigned(Collection<TopicPartition> added) {
                added.forEach(a -> owned.add(a.partition()));
                owns(owned);
            }
            public void onPartitionsRevoked(Collection<TopicPartition> revoked) {
                consumer.commitSync();
                revoked.forEach(r -> owned.remove(r.partition()));
                owns(owned);
            }
        });
        while (!stop.get()) {
            try {
                var records = consumer.poll(Duration.ofMillis(200));
                for (var r : records) {
                    var codec = r.headers().lastHeader("codec");
                    say("record", r.partition(), r.offset(), r.key(), r.value(), codec == null ? "-" : new String(codec.value()));
                }
                if (!records.isEmpty()) {
                    OUT.flush();
                    consumer.commitSync();
                    Thread.sleep(pause);
                }
            } catch (RebalanceInProgressException e) { /* the next poll goes on; what is revoked is committed there */ }
        }
        consumer.close(); // revokes, and so commits
        say("closed");
        OUT.flush();
    }

    // Kafka's own assignors, which say when they run for the group.

    public static final class Range extends RangeAssignor {
        public GroupAssignment assign(Cluster cluster, GroupSubscription group) { return leads(super.assign(cluster, group)); }
    }

    public static final class RoundRobin extends RoundRobinAssignor {
        public GroupAssignment assign(Cluster cluster, GroupSubscription group) { return leads(super.assign(cluster, group)); }
    }

    public static final class Sticky extends StickyAssignor {
        public GroupAssignment assign(Cluster cluster, GroupSubscription group) { return leads(super.assign(cluster, group)); }
    }

    public static final class CooperativeSticky extends CooperativeStickyAssignor {
        public GroupAssignment assign(Cluster cluster, GroupSubscription group) { return leads(super.assign(cluster, group)); }
    }

    static final Map<String, Class<?>> ASSIGNORS = Map.of(
        "range", Range.class, "roundrobin", RoundRobin.class, "sticky", Sticky.class, "cooperative-sticky", CooperativeSticky.class);

    static <T> T leads(T assigned) {
        say("leads");
        return assigned;
    }

    static void owns(Set<Integer> owned) {
        say("owns", owned.stream().map(String::valueOf).collect(Collectors.joining(",")));
        OUT.flush();
    }

    // ---- commands from stdin, one a line

    static void admin(String bootstrap) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap, "client.id", "java-admin"))) {
            for (String line; (line = IN.readLine()) != null; ) {
                try {
                    command(bootstrap, admin, line.split("\t"));
                    say("ok");
                } catch (Exception e) {
                    say("failed", (e.getCause() == null ? e : e.getCause()).toString().replace('\n', ' '));
                }
                OUT.flush();
            }
        }
    }

    static void command(String bootstrap, Admin admin, String[] c) throws Exception {
        switch (c[0]) {
            case "create" -> admin.createTopics(List.of(new NewTopic(c[1], Integer.parseInt(c[2]), (short) 1))).all().get();
            case "topics" -> admin.listTopics().names().get().forEach(Client::say);
            case "describe" -> admin.describeTopics(List.of(c[1])).allTopicNames().get().get(c[1]).partitions()
                .forEach(p -> say(p.partition(), p.leader().id()));
            case "produce" -> {
                try (var producer = producer(bootstrap, c[2], c[3])) {
                    produce(producer, c[1], c[2], Integer.parseInt(c[4]), Integer.parseInt(c[5]));
                }
            }
            case "produce-on" -> {
                if (kept == null) kept = producer(bootstrap, "lz4", "all");
                produce(kept, c[1], c[2], Integer.parseInt(c[3]), Integer.parseInt(c[4]));
            }
            case "ends" -> {
                var first = admin.listOffsets(spec(admin, c[1], OffsetSpec.earliest())).all().get();
                var last = admin.listOffsets(spec(admin, c[1], OffsetSpec.latest())).all().get();
                first.forEach((p, o) -> say(p.partition(), o.offset(), last.get(p).offset()));
            }
            case "groups" -> admin.listGroups().all().get().forEach(g -> say(g.groupId()));
            case "group" -> {
                var g = admin.describeConsumerGroups(List.of(c[1])).all().get().get(c[1]);
                say(g.groupState(), g.partitionAssignor());
                g.members().forEach(m -> say(m.clientId(), m.assignment().topicPartitions().stream()
                    .map(p -> p.partition()).sorted().map(String::valueOf).collect(Collectors.joining(","))));
            }
            case "committed" -> admin.listConsumerGroupOffsets(c[1]).partitionsToOffsetAndMetadata().get().forEach((p, o) -> {
                if (p.topic().equals(c[2])) say(p.partition(), o.offset());
            });
            case "reset" -> {
                var to = new HashMap<TopicPartition, OffsetAndMetadata>();
                admin.listOffsets(spec(admin, c[2], OffsetSpec.earliest())).all().get()
                    .forEach((p, o) -> to.put(p, new OffsetAndMetadata(o.offset())));
                admin.alterConsumerGroupOffsets(c[1], to).all().get();
            }
            case "config" -> say(admin.describeConfigs(List.of(topic(c[1]))).all().get().get(topic(c[1])).get(c[2]).value());
            case "set-config" -> admin.incrementalAlterConfigs(Map.of(topic(c[1]),
                List.of(new AlterConfigOp(new ConfigEntry(c[2], c[3]), AlterConfigOp.OpType.SET)))).all().get();
            case "delete-records" -> admin.deleteRecords(Map.of(new TopicPartition(c[1], Integer.parseInt(c[2])),
                RecordsToDelete.beforeOffset(Long.parseLong(c[3])))).all().get();
            case "delete-group" -> admin.deleteConsumerGroups(List.of(c[1])).all().get();
            case "delete-topic" -> admin.deleteTopics(List.of(c[1])).all().get();
            default -> throw new IllegalArgumentException("no such command: " + c[0]);
        }
    }

    static ConfigResource topic(String name) {
        return new ConfigResource(ConfigResource.Type.TOPIC, name);
    }

    static Map<TopicPartition, OffsetSpec> spec(Admin admin, String topic, OffsetSpec spec) throws Exception {
        var partitions = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions();
        return partitions.stream().collect(Collectors.toMap(p -> new TopicPartition(topic, p.partition()), p -> spec));
    }

    /** The producer that stays open. */
    static KafkaProducer<String, String> kept;

    static KafkaProducer<String, String> producer(String bootstrap, String codec, String acks) {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("compression.type", codec);
        p.put("acks", acks);
        p.put("enable.idempotence", String.valueOf(acks.equals("all")));
        p.put("linger.ms", "20");
        return new KafkaProducer<>(p, new StringSerializer(), new StringSerializer());
    }

    static void produce(KafkaProducer<String, String> producer, String topic, String codec, int from, int count) throws Exception {
        var sent = new ArrayList<Future<RecordMetadata>>();
        for (int i = from; i < from + count; i++) {
            var record = new ProducerRecord<>(topic, i % 10 == 0 ? null : "k" + i, "value " + i + " " + "interop ".repeat(12));
            record.headers().add("codec", codec.getBytes());
            sent.add(producer.send(record));
        }
        producer.flush();
        for (var one : sent) one.get();
        say(sent.size());
    }
}
