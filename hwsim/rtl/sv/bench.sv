// Runs one product on a core, from memory images, and writes down what happens: not synthesizable, nor meant to be.
//
// Reads shape.hex (the numbers below), activations.hex, weights.hex and, with the output lanes, constants.hex and
// table.hex; a line of an image is one address of all banks, bank 0 in the lowest bits, and there is one for every
// address. Writes trace.txt:
//   E cycle row col          an add of PE(row, col), or of the accumulator under column col (row ROWS), overflowed
//   O cycle row col value    output (row, col) left the array; places past the matrix are left out
//   Q cycle row col code     its requantized code came out of its lane
//   L cycle row col code     the table's code came out of its lane
//   C total mac              cycles to the last output and to the last add
// `cycle` is 0 while the first operand stands at the array's inputs. DATAFLOW: 0 output, 1 weight stationary.
module bench #(
    parameter int DATAFLOW = 0,
    parameter int ROWS = 16,
    parameter int COLS = 16,
    parameter int A_BITS = 8,
    parameter int A_SIGNED = 1,
    parameter int W_BITS = 8,
    parameter int W_SIGNED = 1,
    parameter int ACC_BITS = 24,
    parameter int SATURATE = 1,
    parameter int OVERLAP = 0,
    parameter int A_ADDRESS_BITS = 8,
    parameter int W_ADDRESS_BITS = 8,
    parameter int INDEX_BITS = 8,
    parameter int LANES = 0,
    parameter int BIAS_BITS = 32,
    parameter int MULTIPLIER_BITS = 31,
    parameter int OUT_BITS = 9,
    parameter int ROUNDING = 0,
    parameter int CHANNEL_BITS = 8,
    parameter int CHANNEL_IS_STREAM = 0,
    parameter int TABLE = 0,
    parameter int TABLE_BITS = 9,
    parameter int TABLE_ADDRESS_BITS = 8,
    parameter int LINEAR = 0
) (
    input wire clk
);
  localparam int COUNT_BITS = 32;
  localparam int CONSTANT_BITS = 8 + MULTIPLIER_BITS + BIAS_BITS;
  localparam int LANE_CYCLES = 8;  // until the last code has left the lanes

  reg signed [63:0] shape[0:18];
  wire [31:0] length = shape[0][31:0];
  wire [31:0] outer_tiles = shape[1][31:0];
  wire [31:0] inner_tiles = shape[2][31:0];
  wire [31:0] out_rows = shape[3][31:0];
  wire [31:0] out_cols = shape[4][31:0];
  wire [31:0] words = shape[5][31:0];  // of the longest image
  wire [31:0] activation_words = shape[6][31:0];
  wire [31:0] weight_words = shape[7][31:0];
  wire [31:0] constant_words = shape[8][31:0];
  wire [31:0] table_words = shape[9][31:0];
  wire [31:0] cycle_limit = shape[10][31:0];
  wire quiet = shape[18][32];
  wire [31:0] repeats = shape[18][31:0];

  reg [   ROWS*A_BITS-1:0] activation_image[0:(1<<A_ADDRESS_BITS)-1];
  reg [   COLS*W_BITS-1:0] weight_image    [0:(1<<W_ADDRESS_BITS)-1];

  integer file;
  initial begin
    $readmemh("shape.hex", shape);
    $readmemh("activations.hex", activation_image);
    $readmemh("weights.hex", weight_image);
    file = $fopen("trace.txt", "w");
  end

  // reset, load, start, run
  localparam [1:0] RESET = 2'd0, LOAD = 2'd1, START = 2'd2, RUN = 2'd3;
  reg [1:0] state = RESET;
  reg [31:0] address = 0;
  reg [31:0] runs = 0;
  reg [31:0] cycle = 0;
  reg [31:0] waited = 0;
  reg [31:0] flush = 0;
  reg [31:0] total_cycles = 0;
  reg [31:0] mac_cycles = 0;
  wire rst = state == RESET;
  wire start = state == START;
  wire loading = state == LOAD;

  wire running, corner_valid;
  wire [(ROWS+1)*COLS-1:0] overflow;
  wire [COLS-1:0] out_valid;
  wire [COLS*ACC_BITS-1:0] out_sums;
  wire [COLS*COUNT_BITS-1:0] out_index, out_tile;

  generate
    if (DATAFLOW == 0) begin : output_stationary
      os_core #(
          .ROWS(ROWS),
          .COLS(COLS),
          .A_BITS(A_BITS),
          .A_SIGNED(A_SIGNED),
          .W_BITS(W_BITS),
          .W_SIGNED(W_SIGNED),
          .ACC_BITS(ACC_BITS),
          .SATURATE(SATURATE),
          .OVERLAP(OVERLAP),
          .A_ADDRESS_BITS(A_ADDRESS_BITS),
          .W_ADDRESS_BITS(W_ADDRESS_BITS),
          .COUNT_BITS(COUNT_BITS)
      ) core (
          .clk(clk),
          .rst(rst),
          .start(start),
          .length(length),
          .outer_tiles(outer_tiles),
          .inner_tiles(inner_tiles),
          .write_activations(loading && address < activation_words),
          .activation_write_address(address[A_ADDRESS_BITS-1:0]),
          .activation_write_data(activation_image[address[A_ADDRESS_BITS-1:0]]),
          .write_weights(loading && address < weight_words),
          .weight_write_address(address[W_ADDRESS_BITS-1:0]),
          .weight_write_data(weight_image[address[W_ADDRESS_BITS-1:0]]),
          .running(running),
          .corner_valid(corner_valid),
          .overflow(overflow),
          .out_valid(out_valid),
          .out_sums(out_sums),
          .out_tile(out_tile)
      );
      assign out_index = {(COLS * COUNT_BITS) {1'b0}};
    end else begin : weight_stationary
      ws_core #(
          .ROWS(ROWS),
          .COLS(COLS),
          .A_BITS(A_BITS),
          .A_SIGNED(A_SIGNED),
          .W_BITS(W_BITS),
          .W_SIGNED(W_SIGNED),
          .ACC_BITS(ACC_BITS),
          .SATURATE(SATURATE),
          .DOUBLE(OVERLAP == 0 ? 0 : 1),
          .A_ADDRESS_BITS(A_ADDRESS_BITS),
          .W_ADDRESS_BITS(W_ADDRESS_BITS),
          .INDEX_BITS(INDEX_BITS),
          .COUNT_BITS(COUNT_BITS)
      ) core (
          .clk(clk),
          .rst(rst),
          .start(start),
          .length(length),
          .outer_tiles(outer_tiles),
          .inner_tiles(inner_tiles),
          .write_activations(loading && address < activation_words),
          .activation_write_address(address[A_ADDRESS_BITS-1:0]),
          .activation_write_data(activation_image[address[A_ADDRESS_BITS-1:0]]),
          .write_weights(loading && address < weight_words),
          .weight_write_address(address[W_ADDRESS_BITS-1:0]),
          .weight_write_data(weight_image[address[W_ADDRESS_BITS-1:0]]),
          .running(running),
          .corner_valid(corner_valid),
          .overflow(overflow),
          .out_valid(out_valid),
          .out_sums(out_sums),
          .out_index(out_index),
          .out_tile(out_tile)
      );
    end
  endgenerate

  wire [COLS-1:0] code_valid, table_valid;
  wire [  COLS*OUT_BITS-1:0] codes;
  wire [COLS*TABLE_BITS-1:0] table_codes;

  generate
    genvar g;
    if (LANES != 0) begin : lanes
      reg [COLS*CONSTANT_BITS-1:0] constant_image[0:(1<<CHANNEL_BITS)-1];
      reg [TABLE_BITS-1:0] table_image[0:(1<<TABLE_ADDRESS_BITS)-1];
      wire [31:0] last_entry = table_words - 32'd1;
      wire [COLS*CONSTANT_BITS-1:0] constant_word = constant_image[address[CHANNEL_BITS-1:0]];
      wire unused = &{1'b0, last_entry};
      initial begin
        $readmemh("constants.hex", constant_image);
        if (TABLE != 0) $readmemh("table.hex", table_image);
      end
      for (g = 0; g < COLS; g = g + 1) begin : column
        wire [COUNT_BITS-1:0] channel =
            CHANNEL_IS_STREAM != 0 ? out_index[g*COUNT_BITS+:COUNT_BITS] : out_tile[g*COUNT_BITS+:COUNT_BITS];
        wire unused_channel = &{1'b0, channel};
        output_lane #(
            .ACC_BITS(ACC_BITS),
            .BIAS_BITS(BIAS_BITS),
            .MULTIPLIER_BITS(MULTIPLIER_BITS),
            .OUT_BITS(OUT_BITS),
            .ROUNDING(ROUNDING),
            .CHANNEL_BITS(CHANNEL_BITS),
            .TABLE(TABLE),
            .TABLE_BITS(TABLE_BITS),
            .TABLE_ADDRESS_BITS(TABLE_ADDRESS_BITS),
            .LINEAR(LINEAR)
        ) lane (
            .clk(clk),
            .rst(rst),
            .write_constants(loading && address < constant_words),
            .constants_address(address[CHANNEL_BITS-1:0]),
            .constants_data(constant_word[g*CONSTANT_BITS+:CONSTANT_BITS]),
            .write_table(loading && address < table_words),
            .table_address(address[TABLE_ADDRESS_BITS-1:0]),
            .table_data(table_image[address[TABLE_ADDRESS_BITS-1:0]]),
            .zero_point(shape[11][OUT_BITS-1:0]),
            .low(shape[12][OUT_BITS-1:0]),
            .high(shape[13][OUT_BITS-1:0]),
            .last_entry(last_entry[TABLE_ADDRESS_BITS-1:0]),
            .table_zero_point(shape[14][OUT_BITS-1:0]),
            .table_multiplier(shape[15][30:0]),
            .table_shift(shape[16][7:0]),
            .table_offset(shape[17][47:0]),
            .valid_in(out_valid[g]),
            .sum(out_sums[g*ACC_BITS+:ACC_BITS]),
            .channel(channel[CHANNEL_BITS-1:0]),
            .code_valid(code_valid[g]),
            .code(codes[g*OUT_BITS+:OUT_BITS]),
            .table_valid(table_valid[g]),
            .table_code(table_codes[g*TABLE_BITS+:TABLE_BITS])
        );
      end
    end else begin : no_lanes
      assign code_valid  = {COLS{1'b0}};
      assign table_valid = {COLS{1'b0}};
      assign codes = {(COLS * OUT_BITS) {1'b0}};
      assign table_codes = {(COLS * TABLE_BITS) {1'b0}};
      wire unused = &{1'b0, out_index, out_tile, constant_words, table_words};
    end
  endgenerate

  // how many outputs of each column have left the array, the requantizer and the table: they come in order
  reg [31:0] sums_seen  [0:COLS-1];
  reg [31:0] codes_seen [0:COLS-1];
  reg [31:0] tables_seen[0:COLS-1];
  wire [31:0] side = ROWS;
  wire [31:0] column_outputs = DATAFLOW == 0 ? outer_tiles * inner_tiles * side : outer_tiles * length;
  wire all_out = sums_seen[COLS-1] == column_outputs;
  wire unused = &{1'b0, shape[0], shape[1], shape[2], shape[3], shape[4], shape[5], shape[6], shape[7], shape[8],
                  shape[9], shape[10], shape[11], shape[12], shape[13], shape[14], shape[15], shape[16], shape[17],
                  shape[18]};

  // the row of a column's n-th output
  function automatic [31:0] output_row(input [31:0] n);
    if (DATAFLOW == 0) output_row = n / (side * inner_tiles) * side + side - 1 - n % side;
    else output_row = n % length;
  endfunction

  // the output column of the n-th output of the array's column c
  function automatic [31:0] output_col(input [31:0] n, input [31:0] c);
    if (DATAFLOW == 0) output_col = n / side % inner_tiles * COLS + c;
    else output_col = n / length * COLS + c;
  endfunction

  function automatic in_matrix(input [31:0] n, input [31:0] c);
    in_matrix = output_row(n) < out_rows && output_col(n, c) < out_cols;
  endfunction

  integer i, r, c;

  always @(posedge clk) begin
    case (state)
      RESET: begin
        state <= runs == 0 ? LOAD : START;
        {cycle, waited, flush, total_cycles, mac_cycles} <= 160'd0;
        for (i = 0; i < COLS; i = i + 1) begin
          sums_seen[i]   <= 0;
          codes_seen[i]  <= 0;
          tables_seen[i] <= 0;
        end
      end
      LOAD: begin
        address <= address + 1;
        if (address + 1 == words) state <= START;
      end
      START: state <= RUN;
      default: begin
        waited <= waited + 1;
        if (running) cycle <= cycle + 1;
        if (running && corner_valid) mac_cycles <= cycle + 1;
        if (|out_valid) total_cycles <= cycle + 1;
        if (all_out) flush <= flush + 1;
        if (flush == LANE_CYCLES || waited == cycle_limit) begin
          runs  <= runs + 1;
          state <= RESET;
          if (runs + 1 == repeats) begin
            $fwrite(file, "C %0d %0d\n", total_cycles, mac_cycles);
            $fclose(file);
            $finish;
          end
        end
      end
    endcase

    if (running && |overflow && !quiet) begin
      for (r = 0; r <= ROWS; r = r + 1)
        for (c = 0; c < COLS; c = c + 1)
          if (overflow[r*COLS+c]) $fwrite(file, "E %0d %0d %0d\n", cycle, r, c);
    end
    for (i = 0; i < COLS; i = i + 1) begin
      if (running && out_valid[i]) begin
        sums_seen[i] <= sums_seen[i] + 1;
        if (!quiet && in_matrix(sums_seen[i], i))
          $fwrite(file, "O %0d %0d %0d %0d\n", cycle, output_row(sums_seen[i]), output_col(sums_seen[i], i),
                  $signed(out_sums[i*ACC_BITS+:ACC_BITS]));
      end
      if (running && code_valid[i]) begin
        codes_seen[i] <= codes_seen[i] + 1;
        if (!quiet && in_matrix(codes_seen[i], i))
          $fwrite(file, "Q %0d %0d %0d %0d\n", cycle, output_row(codes_seen[i]), output_col(codes_seen[i], i),
                  $signed(codes[i*OUT_BITS+:OUT_BITS]));
      end
      if (running && table_valid[i]) begin
        tables_seen[i] <= tables_seen[i] + 1;
        if (!quiet && in_matrix(tables_seen[i], i))
          $fwrite(file, "L %0d %0d %0d %0d\n", cycle, output_row(tables_seen[i]), output_col(tables_seen[i], i),
                  $signed(table_codes[i*TABLE_BITS+:TABLE_BITS]));
      end
    end
  end
endmodule
