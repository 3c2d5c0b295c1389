// The skew in front of the array: one bank for each row (or column), each read a cycle after the one before.
//
// A read asked for in cycle t stands at the array's input i in cycle t + 1 + i (SKEW = 1) or t + 1 (SKEW = 0), its
// tags with it. An input without an operand is 0, and so are its tags. One write fills the same address of all banks.
module operand_feeder #(
    parameter int LANES = 16,
    parameter int BITS = 8,
    parameter int ADDRESS_BITS = 8,
    parameter int TAG_BITS = 1,
    parameter int SKEW = 1
) (
    input  wire                      clk,
    input  wire                      rst,
    input  wire                      write,
    input  wire [  ADDRESS_BITS-1:0] write_address,
    input  wire [    LANES*BITS-1:0] write_data,
    input  wire                      read,
    input  wire [  ADDRESS_BITS-1:0] read_address,
    input  wire [      TAG_BITS-1:0] read_tags,
    output wire [    LANES*BITS-1:0] operands,
    output wire [         LANES-1:0] valid,
    output wire [LANES*TAG_BITS-1:0] tags
);
  generate
    genvar i;
    for (i = 0; i < LANES; i = i + 1) begin : lane
      wire                    lane_read;
      wire [ADDRESS_BITS-1:0] lane_address;
      wire [    TAG_BITS-1:0] lane_tags;
      wire [        BITS-1:0] word;
      reg                     present;
      reg  [    TAG_BITS-1:0] present_tags;

      delay_line #(
          .BITS  (1 + ADDRESS_BITS + TAG_BITS),
          .CYCLES(SKEW * i)
      ) skew (
          .clk(clk),
          .rst(rst),
          .d  ({read, read_address, read_tags}),
          .q  ({lane_read, lane_address, lane_tags})
      );

      operand_bank #(
          .BITS(BITS),
          .ADDRESS_BITS(ADDRESS_BITS)
      ) bank (
          .clk(clk),
          .write(write),
          .write_address(write_address),
          .write_data(write_data[i*BITS+:BITS]),
          .read_address(lane_address),
          .read_data(word)
      );

      always @(posedge clk) begin
        present <= lane_read && !rst;
        present_tags <= (lane_read && !rst) ? lane_tags : {TAG_BITS{1'b0}};
      end

      assign valid[i] = present;
      assign tags[i*TAG_BITS+:TAG_BITS] = present_tags;
      assign operands[i*BITS+:BITS] = present ? word : {BITS{1'b0}};
    end
  endgenerate
endmodule
