import java.sql.*;
import java.util.*;
import org.postgresql.util.PGobject;

/**
 * What JDBC's natural calls answer: driver, call, and the score or the error, one line a call. Called with the URL of a database that has
 * the model `risk` of four features, a, b, c and d.
 */
public class Calls {
    static final String OBJECT = "{\"a\": 1, \"b\": 2, \"c\": 3, \"d\": 4}";
    static final String PAYLOAD = "{\"features\": [" + OBJECT + ", [1, 2, 3, 4]]}";
    static final String PREDICT = "SELECT e2i_predict('risk', ?)", SERVE = "SELECT e2i_serve('risk', ?) ->> 'predictions'";

    interface Setting { void of(Connection connection, PreparedStatement statement) throws SQLException; }

    static PGobject typed(String type, String value) throws SQLException {
        PGobject object = new PGobject();
        object.setType(type);
        object.setValue(value);
        return object;
    }

    public static void main(String[] arguments) throws SQLException {
        Map<String, Setting> calls = new LinkedHashMap<>();
        calls.put("setString", (c, s) -> s.setString(1, OBJECT));
        calls.put("PGobject json", (c, s) -> s.setObject(1, typed("json", OBJECT)));
        calls.put("PGobject jsonb", (c, s) -> s.setObject(1, typed("jsonb", OBJECT)));
        calls.put("setArray", (c, s) -> s.setArray(1, c.createArrayOf("float8", new Object[] {1.0, 2.0, 3.0, 4.0})));
        calls.put("double[]", (c, s) -> s.setObject(1, new double[] {1, 2, 3, 4}));
        calls.put("e2i_serve, setString", (c, s) -> s.setString(1, PAYLOAD));
        calls.put("e2i_serve, PGobject json", (c, s) -> s.setObject(1, typed("json", PAYLOAD)));
        for (String mode : List.of("", "prepareThreshold=1", "preferQueryMode=simple", "stringtype=unspecified")) {
            try (Connection connection = DriverManager.getConnection(arguments[0] + "&" + mode)) {
                for (Map.Entry<String, Setting> call : calls.entrySet()) {
                    String answer;
                    try (PreparedStatement statement = connection.prepareStatement(call.getKey().startsWith("e2i_serve") ? SERVE : PREDICT)) {
                        call.getValue().of(connection, statement);
                        try (ResultSet rows = statement.executeQuery()) {
                            rows.next();
                            answer = rows.getString(1);
                        }
                    } catch (SQLException error) {
                        answer = error.getMessage().lines().findFirst().orElse("");
                    }
                    System.out.println("JDBC " + mode + " | " + call.getKey() + " | " + answer);
                }
            }
        }
    }
}
