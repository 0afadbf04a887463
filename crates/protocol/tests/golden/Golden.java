// Writes golden.tsv: for each message of the tables and each version, bytes made by Kafka's own classes.
//
// Usage: java -cp 'LIB/*' Golden.java TABLES_DIR > golden.tsv
// where LIB holds kafka-clients 4.3.1, kafka-group-coordinator 4.3.1 and jackson-databind with what it needs.
//
// Columns: message, version, variant, bytes in base64, JSON as Kafka's JsonConverter reads it (`=`: the line before's).
// Variants: `default` is the message as its constructor leaves it (no JSON); `full` has every field of the version set
// to a value of its own; `null` has null wherever the version allows it, and small or negative values elsewhere.
// Values come from a counter that starts anew with each message: equal tables give equal files.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.BinaryNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.IntNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.LongNode;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.TextNode;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;

public class Golden {
    static final PrintStream OUT = new PrintStream(System.out, false, StandardCharsets.UTF_8);

    public static void main(String[] args) throws Exception {
        for (String[] row : rows(Path.of(args[0], "messages.tsv"))) {
            String suffix = row[1].equals("data") ? "" : "Data";
            message(row[2], Class.forName("org.apache.kafka.common.message." + row[2] + suffix));
        }
        for (String[] row : rows(Path.of(args[0], "group-records.tsv"))) {
            for (String name : List.of(row[1] + "Key", row[1] + "Value")) {
                message(name, Class.forName("org.apache.kafka.coordinator.group.generated." + name));
            }
        }
        OUT.flush();
    }

    static List<String[]> rows(Path table) throws Exception {
        List<String[]> rows = new ArrayList<>();
        List<String> lines = Files.readAllLines(table);
        for (String line : lines.subList(1, lines.size())) {
            rows.add(line.split("\t", -1));
        }
        return rows;
    }

    static void message(String name, Class<?> type) throws Exception {
        Schema[] schemas = (Schema[]) type.getField("SCHEMAS").get(null);
        for (String variant : List.of("default", "full", "null")) {
            String last = "";
            for (short version = 0; version < schemas.length; version++) {
                if (schemas[version] == null) {
                    continue;
                }
                Message message;
                String json = "";
                if (variant.equals("default")) {
                    message = (Message) type.getConstructor().newInstance();
                } else {
                    JsonNode node = new Filler(variant.equals("null")).struct(schemas[version], 0);
                    Class<?> converter = Class.forName(type.getName() + "JsonConverter");
                    try {
                        message = (Message) converter.getMethod("read", JsonNode.class, short.class).invoke(null, node, version);
                    } catch (InvocationTargetException e) {
                        throw new IllegalStateException(name + " " + version + " " + node, e.getCause());
                    }
                    json = node.toString();
                }
                ByteBuffer buffer = MessageUtil.toByteBufferAccessor(message, version).buffer();
                byte[] bytes = new byte[buffer.remaining()];
                buffer.get(bytes);
                String shown = !json.isEmpty() && json.equals(last) ? "=" : json;
                last = json;
                OUT.println(String.join("\t", name, "" + version, variant, Base64.getEncoder().encodeToString(bytes), shown));
            }
        }
    }

    /** Makes a value for each field of a schema. */
    static class Filler {
        final boolean nulls;
        int counter = 0;

        Filler(boolean nulls) {
            this.nulls = nulls;
        }

        ObjectNode struct(Schema schema, int depth) {
            ObjectNode node = JsonNodeFactory.instance.objectNode();
            for (BoundField bound : schema.fields()) {
                if (bound.def.type instanceof TaggedFields tagged) {
                    for (Field field : tagged.fields().values()) {
                        node.set(camel(field.name), value(field.type, depth));
                    }
                } else {
                    node.set(camel(bound.def.name), value(bound.def.type, depth));
                }
            }
            return node;
        }

        JsonNode value(Type type, int depth) {
            counter++;
            if (nulls && type.isNullable()) {
                return NullNode.getInstance();
            }
            if (type instanceof Schema schema) {
                return struct(schema, depth + 1);
            }
            if (type.isArray()) {
                ArrayNode array = JsonNodeFactory.instance.arrayNode();
                Type element = type.arrayElementType().get();
                int count = nulls || (element instanceof Schema && depth > 0) ? 1 : 2;
                for (int i = 0; i < count; i++) {
                    array.add(value(element, depth + 1));
                }
                return array;
            }
            String kind = type.toString().replace("COMPACT_", "").replace("NULLABLE_", "");
            return switch (kind) {
                case "BOOLEAN" -> BooleanNode.valueOf(!nulls);
                case "INT8" -> new IntNode(nulls ? -2 : 10 + counter);
                case "INT16" -> new IntNode(nulls ? -2 : 1000 + counter);
                case "INT32" -> new IntNode(nulls ? -2 : 100_000 + counter);
                case "INT64" -> new LongNode(nulls ? -2 : 10_000_000_000L + counter);
                case "UUID" -> new TextNode(new Uuid(nulls ? -2 : 0x4b4f484f5254L, counter).toString());
                case "STRING" -> new TextNode(nulls ? "" : "é" + counter);
                case "BYTES", "RECORDS" -> BinaryNode.valueOf(nulls ? new byte[0] : new byte[] {(byte) 0xff, 0, (byte) counter});
                default -> throw new IllegalStateException("no value for " + type.toString());
            };
        }
    }

    /** Kafka's JSON names: max_wait_ms to maxWaitMs. */
    static String camel(String snake) {
        StringBuilder out = new StringBuilder();
        for (String word : snake.split("_")) {
            out.append(out.isEmpty() ? word : word.substring(0, 1).toUpperCase() + word.substring(1));
        }
        return out.toString();
    }
}
